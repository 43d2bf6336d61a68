// Whole training steps: batch norm, dropout, Adam and all, on synthetic sequences (kernel time does not depend on
// values).
//
// Rows: preset x threads x models side by side. Counters: sequences a second, FLOP/s, percent of the multiply-add peak
// measured in the same run (threads times one core's).
#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bench/peak.h"
#include "engine/backend.h"
#include "engine/check.h"
#include "engine/thread_pool.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "model/flops.h"
#include "model/residualbind.h"

namespace rb {
namespace {

constexpr int kBatch = 100;
constexpr int kSequences = 2000;

struct Bed {
  Bed(const Shape& shape, int models, int threads) : pool(threads), backend(MakeCpuBackend<float>(pool)) {
    PhiloxStream random(DeriveKey(1, Purpose::kSimulate, 0));
    std::vector<uint8_t> codes(shape.length);
    bases.resize(static_cast<size_t>(kSequences) * PackedWords(shape.length));
    for (int i = 0; i < kSequences; ++i) {
      for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Below(4));
      PackBases(codes.data(), shape.length, &bases[static_cast<size_t>(i) * PackedWords(shape.length)]);
    }
    auto created = ResidualBind<float>::Create(shape, models, kBatch, {bases.data(), nullptr}, *backend);
    RB_CHECK(created.ok());
    net = *std::move(created);
    state.resize(models);
    live.resize(models);
    for (int m = 0; m < models; ++m) {
      InitializeParameters(net->table(), 1, m, net->parameters()[m]);
      live[m] = m;
      state[m] = {DeriveKey(1, Purpose::kDropout, m), 0, 0, 0, kBatch, 1e-4f};
      for (int n = 0; n < kBatch; ++n) {
        net->rows()[m][n] = static_cast<int32_t>(random.Below(kSequences));
        net->targets()[m][n] = static_cast<float>(random.Uniform() - 0.5);
      }
    }
  }

  void Step() {
    const Models all = {state.data(), live.data(), static_cast<int>(live.size())};
    RB_CHECK(net->Step(all).ok());
    for (StepState& s : state) ++s.step;
  }

  ThreadPool pool;
  std::unique_ptr<Backend<float>> backend;
  std::vector<uint32_t> bases;
  std::unique_ptr<ResidualBind<float>> net;
  std::vector<StepState> state;
  std::vector<int32_t> live;
};

void TrainingStep(benchmark::State& state, const bench::Peak& peak, const Shape& shape, int models, int threads) {
  Bed bed(shape, models, threads);
  for (int i = 0; i < 5; ++i) bed.Step();
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) bed.Step();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double rate = static_cast<double>(state.iterations()) * kBatch * models / seconds;
  state.counters["sequences/s"] = rate;
  state.counters["GFLOP/s"] = rate * TrainingFlops(shape) * 1e-9;
  state.counters["percent_of_peak"] = 100 * rate * TrainingFlops(shape) / (peak.fp32 * 1e9 * threads);
  state.counters["memory_MiB"] = static_cast<double>(bed.net->allocated()) / (1 << 20);
}

void Register(const bench::Peak& peak) {
  for (const int threads : {1, 2}) {
    if (threads > UsableProcessors()) continue;
    for (const int models : {1, 4, 16, 40}) {
      for (const bool paper : {true, false}) {
        const std::string name = std::string("training_step/") + (paper ? "paper" : "published") +
                                 "/models:" + std::to_string(models) + "/threads:" + std::to_string(threads);
        benchmark::RegisterBenchmark(name.c_str(), TrainingStep, peak, paper ? kPaperShape : kPublishedShape, models,
                                     threads)
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
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
