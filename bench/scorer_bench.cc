// The fused CPU scorer: presets x precision x threads, random weights and sequences. Counters: sequences a second,
// FLOP/s, percent of the multiply-add peak of that precision measured in the same run (times threads). FLOPs:
// FlopsPerSequence in kernels/scorer.h, which leaves out taps on zero padding and counts a layer-1 look-up as one
// addition. And scans of all k-mers, by the three ways to do them.
#include <benchmark/benchmark.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/peak.h"
#include "engine/thread_pool.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "kernels/scorer.h"

namespace rb {
namespace {

// Enough for each of many threads to have work, little enough to stay in L2 beside the weights (28 KB + 5.6 KB).
constexpr int kSequences = 1400;

ScorerGeometry Paper(int structure) {
  ScorerGeometry g;
  g.structure = structure;
  return g;
}

ScorerGeometry Published() {
  ScorerGeometry g;
  g.residual_layers = 4;
  for (int i = 0; i < 4; ++i) g.dilations[i] = 1 << i;
  return g;
}

// One network and its input. Weights are scaled so that activations keep their size from layer to layer.
struct Bed {
  explicit Bed(const ScorerGeometry& g) : geometry(g), words(size_t{kSequences} * PackedWords(g.length)) {
    const auto take = [&](size_t count, float scale) {
      std::vector<float>& v = arrays.emplace_back(count);
      for (float& x : v) x = scale * static_cast<float>(2 * random.Uniform() - 1);
      return v.data();
    };
    const size_t filters = g.filters, convolution = g.width * filters * filters;
    weights.embed = take(g.first_width * (4 + g.structure) * filters, 0.25f);
    weights.embed_bias = take(filters, 0.1f);
    for (int i = 0; i < g.residual_layers; ++i) {
      weights.conv[i] = take(convolution, 0.08f);
      weights.conv_bias[i] = take(filters, 0.1f);
    }
    weights.dense = take(g.pools() * filters * g.hidden, 0.05f);
    weights.dense_bias = take(g.hidden, 0.1f);
    weights.head = take(g.hidden + 1, 0.5f);
    std::vector<uint8_t> codes(g.length);
    for (int i = 0; i < kSequences; ++i) {
      for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Below(4));
      PackBases(codes.data(), g.length, &words[size_t(i) * PackedWords(g.length)]);
    }
    tracks = take(size_t{kSequences} * g.length * g.structure, 1.0f);
  }

  ScorerGeometry geometry;
  PhiloxStream random{5};
  std::vector<std::vector<float>> arrays;
  FoldedWeights weights;
  std::vector<uint32_t> words;
  const float* tracks = nullptr;
};

void Score(benchmark::State& state, double peak, const ScorerGeometry& geometry, Precision precision, int threads) {
  const Bed bed(geometry);
  const cpu::CpuScorer scorer(geometry, bed.weights, precision);
  ThreadPool pool(threads);
  std::vector<float> out(kSequences);
  scorer.Score(bed.words.data(), bed.tracks, nullptr, kSequences, out.data(), pool);
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) scorer.Score(bed.words.data(), bed.tracks, nullptr, kSequences, out.data(), pool);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double rate = static_cast<double>(state.iterations()) * kSequences / seconds;
  const double flops = rate * static_cast<double>(FlopsPerSequence(geometry));
  state.counters["sequences/s"] = rate;
  state.counters["GFLOP/s"] = flops * 1e-9;
  state.counters["percent_of_peak"] = 100 * flops / (peak * 1e9 * threads);
}

// All k-mers at position 17 of some backgrounds by some models: sequences a second of the whole path, of rows that the
// k-mer reaches, and of these with rows shared between k-mers. `bought`: percent of the whole path's arithmetic, as if
// all were done.
enum class ScanPath { kWhole, kBackground, kLetters };

struct ScanCase {
  ScanPath path = ScanPath::kLetters;
  Precision precision = Precision::kFp32;
  int threads = 1, k = 6, backgrounds = 4, models = 1;

  int64_t sequences() const { return int64_t{backgrounds} << (2 * k); }  // of a model
};

// The backgrounds with each k-mer written over.
std::vector<uint32_t> WriteOut(const Bed& bed, const ScanCase& c, int position) {
  const int length = bed.geometry.length, words = PackedWords(length);
  std::vector<uint32_t> written;
  for (int64_t i = 0; i < c.sequences(); ++i) {
    const uint32_t* const background = bed.words.data() + (i >> (2 * c.k)) * words;
    written.insert(written.end(), background, background + words);
    WriteKmer(&written[i * words], length, i, c.k, position);
  }
  return written;
}

void Scan(benchmark::State& state, double peak, const ScanCase& c) {
  constexpr int kPosition = 17;
  const Bed bed{ScorerGeometry()};
  const cpu::CpuScorer scorer(bed.geometry, bed.weights, c.precision);
  const std::vector<uint32_t> written =
      c.path == ScanPath::kWhole ? WriteOut(bed, c, kPosition) : std::vector<uint32_t>();
  ThreadPool pool(c.threads);
  std::vector<float> out(static_cast<size_t>(c.sequences()));
  const auto scan = [&] {
    for (int model = 0; model < c.models; ++model) {
      if (c.path == ScanPath::kWhole) {
        scorer.Score(written.data(), nullptr, nullptr, c.sequences(), out.data(), pool);
      } else {
        scorer.ScoreKmers(bed.words.data(), c.backgrounds, c.k, kPosition, out.data(), pool,
                          c.path == ScanPath::kLetters ? KmerSharing::kLetters : KmerSharing::kBackground);
      }
    }
  };
  scan();
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) scan();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double rate = static_cast<double>(state.iterations()) * c.models * static_cast<double>(c.sequences()) / seconds;
  state.counters["sequences/s"] = rate;
  state.counters["bought"] =
      100 * rate * static_cast<double>(FlopsPerSequence(bed.geometry)) / (peak * 1e9 * c.threads);
}

void RegisterScan(const std::string& name, const bench::Peak& peak, const ScanCase& c) {
  if (c.threads > UsableProcessors() || (c.precision == Precision::kBf16 && !cpu::HasBf16())) return;
  benchmark::RegisterBenchmark(name.c_str(), Scan, c.precision == Precision::kBf16 ? peak.bf16 : peak.fp32, c)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

void RegisterScans(const bench::Peak& peak) {
  const std::pair<const char*, ScanPath> paths[] = {
      {"whole", ScanPath::kWhole}, {"background", ScanPath::kBackground}, {"letters", ScanPath::kLetters}};
  for (const auto& [name, path] : paths) {
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
      for (const int threads : {1, 2}) {
        RegisterScan(
            absl::StrCat("kmer_scan/", name, precision == Precision::kBf16 ? "/bf16" : "/fp32", "/threads:", threads),
            peak, {path, precision, threads});
      }
    }
  }
  // In each direction from the middle of the rows above.
  for (const int k : {3, 4, 5, 7, 8}) RegisterScan(absl::StrCat("kmer_scaling/k:", k), peak, {.k = k});
  for (const int n : {1, 16, 64}) {
    RegisterScan(absl::StrCat("kmer_scaling/backgrounds:", n), peak, {.backgrounds = n});
  }
  RegisterScan("kmer_scaling/models:4", peak, {.models = 4});
}

void Register(const bench::Peak& peak) {
  const struct {
    const char* name;
    ScorerGeometry geometry;
  } presets[] = {{"paper", Paper(0)}, {"paper_structure5", Paper(5)}, {"published", Published()}};
  for (const auto& preset : presets) {
    for (const bool bf16 : {false, true}) {
      if (bf16 && !cpu::HasBf16()) continue;
      for (const int threads : {1, 2}) {
        if (threads > UsableProcessors()) continue;
        const std::string name =
            std::string("scorer/") + preset.name + (bf16 ? "/bf16" : "/fp32") + "/threads:" + std::to_string(threads);
        benchmark::RegisterBenchmark(name.c_str(), Score, bf16 ? peak.bf16 : peak.fp32, preset.geometry,
                                     bf16 ? Precision::kBf16 : Precision::kFp32, threads)
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
  benchmark::AddCustomContext("vector target", rb::cpu::VectorTarget());
  rb::Register(peak);
  rb::RegisterScans(peak);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
