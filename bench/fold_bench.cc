// Folding on the CPU by length and threads, random sequences. Counters: sequences a second, milliseconds that a
// sequence takes one core, interior loops a second (FoldLoopTerms, both passes) and percent of the multiply-add peak in
// double, half the fp32 peak measured in the same run, that these alone would be.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "bench/peak.h"
#include "engine/thread_pool.h"
#include "kernels/fold.h"
#include "kernels/philox.h"

namespace rb {
namespace {

void FoldSequences(benchmark::State& state, double peak, int length, int threads) {
  const int count = std::max(64, 16384 / length);
  PhiloxStream random(5);
  const size_t words = static_cast<size_t>(PackedWords(length));
  std::vector<uint32_t> bases(static_cast<size_t>(count) * words);
  std::vector<uint8_t> codes(static_cast<size_t>(length));
  for (int i = 0; i < count; ++i) {
    for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Below(4));
    PackBases(codes.data(), length, &bases[static_cast<size_t>(i) * words]);
  }
  std::vector<float> tracks(static_cast<size_t>(count) * static_cast<size_t>(length) * kFoldTracks);
  FoldArgs<float> args;
  args.factors = &Turner1999Factors();
  args.bases = bases.data();
  args.count = count;
  args.length = length;
  args.tracks = tracks.data();
  ThreadPool pool(threads);
  cpu::Fold(args, pool);
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) cpu::Fold(args, pool);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double rate = static_cast<double>(state.iterations()) * count / seconds;
  const double loops = rate * 2 * static_cast<double>(FoldLoopTerms(length));
  state.counters["sequences/s"] = rate;
  state.counters["ms_a_sequence_a_core"] = 1e3 * threads / rate;
  state.counters["loops/s"] = loops;
  state.counters["percent_of_peak"] = 100 * 2 * loops / (peak / 2 * 1e9 * threads);
}

void Register(const bench::Peak& peak) {
  for (const int length : {20, 30, 41, 64, 100, 150, 200}) {
    for (const int threads : {1, 2}) {
      if (threads > UsableProcessors()) continue;
      const std::string name = "fold/length:" + std::to_string(length) + "/threads:" + std::to_string(threads);
      benchmark::RegisterBenchmark(name.c_str(), FoldSequences, peak.fp32, length, threads)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
}

}  // namespace
}  // namespace rb

int main(int argc, char** argv) {
  const rb::bench::Peak peak = rb::bench::MeasurePeak();
  rb::bench::AddPeakContext(peak);
  rb::Register(peak);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
