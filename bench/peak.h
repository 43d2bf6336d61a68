// This machine's ceilings, measured in the same process as the rows that are compared with them.
#ifndef RB_BENCH_PEAK_H_
#define RB_BENCH_PEAK_H_

namespace rb::bench {

// One core, best slice of a few: 1e9 operations (a multiply-add is two) or bytes a second. 0: the machine cannot.
struct Peak {
  double fp32 = 0;                  // fused multiply-adds in registers, widest vectors the processor has
  double bf16 = 0;                  // AVX512-BF16 dot products in registers
  double l1 = 0, l2 = 0, dram = 0;  // reading
};

// Takes about ten times `seconds`.
Peak MeasurePeak(double seconds = 0.05);

// Adds the ceilings to the context that Google Benchmark prints above its rows and in its JSON.
void AddPeakContext(const Peak& peak);

}  // namespace rb::bench

#endif  // RB_BENCH_PEAK_H_
