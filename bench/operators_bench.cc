// Each operator of the training step by itself, one model, batch 100, paper's shape unless the row says otherwise,
// beside a plain copy of an activation tensor (`/copy`, the bandwidth ceiling). Counters: GFLOP/s, GB/s of tensors
// touched, percent of the multiply-add peak measured in the same run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
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

namespace rb {
namespace {

constexpr int kBatch = 100;

// Buffers for one model at the given shape; every operator row borrows what it needs.
struct Bed {
  Bed(const Shape& s, int threads)
      : shape(s), pool(threads), backend(MakeCpuBackend<float>(pool)), arena(backend->NewArena()) {
    const int64_t full = int64_t{kBatch} * s.length * s.filters;
    for (auto* t : {&x, &y, &dz}) *t = Filled(full, 1.0f);
    for (auto* t : {&mean, &beta, &sums}) *t = Filled(2 * 512, 0.1f);
    for (auto* t : {&rstd, &gamma}) *t = Filled(2 * 512, 1.0f);
    moments = Filled(int64_t{kBatchChunks} * 2 * 512, 0.0f);
    const int64_t weights = std::max<int64_t>(int64_t{s.width} * s.filters * s.filters, int64_t{s.flat()} * s.hidden);
    w = Filled(weights, 0.05f), packed = Filled(weights, 0.0f), dw = Filled(weights * kBatchChunks, 0.0f);
    p = Filled(int64_t{kBatch} * s.flat(), 0.5f), z = Filled(int64_t{kBatch} * s.hidden, 0.5f);
    mask = *arena->AllocatePerModel<uint32_t>(1, full / kPanel, "mask");
    mask2 = *arena->AllocatePerModel<uint32_t>(1, full / kPanel, "mask");
    std::memset(mask.base, 0x5A, full / 8);
    rows = *arena->AllocatePerModel<int32_t>(1, kBatch, "rows");
    bases.resize(size_t{kBatch} * PackedWords(s.length));
    std::vector<uint8_t> codes(s.length);
    PhiloxStream random(7);
    for (int n = 0; n < kBatch; ++n) {
      rows.base[n] = n;
      for (auto& code : codes) code = static_cast<uint8_t>(random.Below(4));
      PackBases(codes.data(), s.length, &bases[size_t(n) * PackedWords(s.length)]);
    }
  }

  PerModel<float> Filled(int64_t count, float scale) {
    auto block = arena->AllocatePerModel<float>(1, count, "bench");
    RB_CHECK(block.ok());
    PhiloxStream random(3);
    for (int64_t i = 0; i < count; ++i) block->base[i] = scale * static_cast<float>(random.Uniform() - 0.3);
    return *block;
  }
  Prologue<float> prologue(bool on) const {
    return on ? Prologue<float>{mean, rstd, gamma, beta, shape.dropout_inner, 1, mask} : Prologue<float>{};
  }
  NormGrad<float> norm(bool on) const { return on ? NormGrad<float>{mean, rstd, gamma, sums} : NormGrad<float>{}; }

  Shape shape;
  ThreadPool pool;
  std::unique_ptr<Backend<float>> backend;
  std::unique_ptr<Arena> arena;
  PerModel<float> x, y, dz, mean, rstd, gamma, beta, sums, moments, w, packed, dw, p, z;
  PerModel<uint32_t> mask, mask2;
  PerModel<int32_t> rows;
  std::vector<uint32_t> bases;
  StepState state = {1, 2, 3, 0, kBatch, 1e-3f};
  int32_t live = 0;
  Models models() const { return {&state, &live, 1}; }
};

struct Row {
  std::string name;
  double flops, bytes;  // a batch
  std::function<absl::Status(Bed&)> run;
};

DilatedConvGeometry Conv(const Shape& s, int dilation) {
  return {s.length, s.filters, s.filters, s.width, dilation, kBatch};
}

std::vector<Row> ConvRows(const Shape& s, double tensor) {
  std::vector<Row> rows;
  for (const int d : {1, 2, 4, 8}) {
    const double flops = kBatch * RowTaps(s.length, s.width, d) * 2.0 * s.filters * s.filters;
    for (const bool fused : {true, false}) {
      const std::string tail = "/dilation:" + std::to_string(d) + (fused ? "/fused" : "/plain");
      rows.push_back({"dilated_conv_forward" + tail, flops, 2 * tensor, [=](Bed& b) {
                        return b.backend->DilatedConvForward({b.models(), Conv(b.shape, d), b.x, b.prologue(fused), b.w,
                                                              b.packed, b.y, fused ? b.moments : PerModel<float>{}});
                      }});
      rows.push_back({"dilated_conv_backward" + tail, 2 * flops, (fused ? 4 : 3) * tensor, [=](Bed& b) {
                        return b.backend->DilatedConvBackward({b.models(),
                                                               Conv(b.shape, d),
                                                               b.dz,
                                                               {},
                                                               b.y,
                                                               b.norm(fused),
                                                               b.w,
                                                               b.packed,
                                                               b.x,
                                                               b.prologue(fused),
                                                               {},
                                                               b.dz,
                                                               b.moments,
                                                               b.dw,
                                                               b.shape.width * b.shape.filters * b.shape.filters});
                      }});
    }
  }
  return rows;
}

EmbedConvGeometry Embed(const Bed& b) {
  return {b.shape.length, 0, b.shape.filters, b.shape.first_width, kBatch, b.bases.data(), nullptr};
}

std::vector<Row> Rows(const Shape& s) {
  const double tensor = 4.0 * kBatch * s.length * s.filters, dense = 4.0 * s.flat() * s.hidden;
  std::vector<Row> rows = ConvRows(s, tensor);
  rows.push_back({"activation_tensor/copy", 0, 2 * tensor, [=](Bed& b) {
                    b.pool.Run(kBatchChunks, [&](int64_t i, int) {
                      const size_t part = static_cast<size_t>(tensor / 4) / kBatchChunks;
                      std::memcpy(b.y.base + i * part, b.x.base + i * part, part * 4);
                    });
                    return absl::OkStatus();
                  }});
  rows.push_back({"embed_conv_forward", kBatch * LookupFlops(s), tensor, [](Bed& b) {
                    return b.backend->EmbedConvForward({b.models(), Embed(b), b.rows, b.w, b.y, b.moments});
                  }});
  rows.push_back({"embed_conv_backward", kBatch * LookupFlops(s), 2 * tensor, [](Bed& b) {
                    return b.backend->EmbedConvBackward({b.models(), Embed(b), b.rows, b.dz, b.y, b.mean, b.rstd,
                                                         b.gamma, b.sums, b.dw,
                                                         b.shape.first_width * 4 * b.shape.filters});
                  }});
  rows.push_back({"residual_pool_forward", 0, 2 * tensor, [](Bed& b) {
                    const Shape& s = b.shape;
                    return b.backend->ResidualPoolForward({b.models(), s.length, s.filters, s.pool, kBatch, b.y, b.mean,
                                                           b.rstd, b.gamma, b.beta, b.x, b.prologue(true), 0.2f, 0.f,
                                                           64, 65, b.mask2, b.mask2, b.p});
                  }});
  rows.push_back({"residual_pool_backward", 0, tensor, [](Bed& b) {
                    const Shape& s = b.shape;
                    return b.backend->ResidualPoolBackward({b.models(), s.length, s.filters, s.pool, kBatch, b.y,
                                                            b.mean, b.rstd, 0.2f, 0.f, b.mask, b.mask, b.p, b.moments});
                  }});
  rows.push_back({"dense_forward", kBatch * 2.0 * s.flat() * s.hidden, dense, [](Bed& b) {
                    return b.backend->DenseForward(
                        {b.models(), b.shape.flat(), b.shape.hidden, kBatch, b.p, b.w, b.packed, b.z, b.moments});
                  }});
  rows.push_back({"dense_backward", kBatch * 4.0 * s.flat() * s.hidden, 2 * dense, [](Bed& b) {
                    return b.backend->DenseBackward({b.models(), b.shape.flat(), b.shape.hidden, kBatch, b.z, b.z,
                                                     b.norm(true), b.p, b.w, b.packed, b.p, b.dw});
                  }});
  return rows;
}

void RunRow(benchmark::State& state, const bench::Peak& peak, const Row& row, int threads) {
  Bed bed(kPaperShape, threads);
  for (int i = 0; i < 3; ++i) RB_CHECK(row.run(bed).ok());
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) RB_CHECK(row.run(bed).ok());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
                         static_cast<double>(state.iterations());
  state.counters["GB/s"] = row.bytes / seconds * 1e-9;
  if (row.flops == 0) return;
  state.counters["GFLOP/s"] = row.flops / seconds * 1e-9;
  state.counters["percent_of_peak"] = 100 * row.flops / seconds / (peak.fp32 * 1e9 * threads);
}

}  // namespace
}  // namespace rb

int main(int argc, char** argv) {
  const rb::bench::Peak peak = rb::bench::MeasurePeak();
  rb::bench::AddPeakContext(peak);
  for (const int threads : {1, 2}) {
    if (threads > rb::UsableProcessors()) continue;
    for (const rb::Row& row : rb::Rows(rb::kPaperShape)) {
      benchmark::RegisterBenchmark((row.name + "/threads:" + std::to_string(threads)).c_str(), rb::RunRow, peak, row,
                                   threads)
          ->Unit(benchmark::kMicrosecond)
          ->UseRealTime();
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
