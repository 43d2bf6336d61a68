// Rows of layer 1 and of the dilated convolutions.
//
// `ours`: as the network calls the operator: batch norm, ReLU and dropout while loading, moments while writing;
// backward of the first dilated layer adds the skip's gradient, that of the last one takes its dz from the pooling.
// `plain`: without any of it. `dx`, `dw`: a middle layer's backward, one half only.
#include "bench/cublas_peer.h"
#include "bench/row_maker.h"
#include "kernels/packed_bases.h"
#include "model/flops.h"

namespace rb::bench {
namespace {

template <class A>
EmbedConvBackwardArgs<float, A> EmbedBackward(const typename RowMaker<A>::Call& call, bool fused) {
  const NormGrad<float> norm = fused ? call.bed.norm(call.s) : NormGrad<float>{};
  const Shape& shape = call.bed.shape();
  EmbedConvBackwardArgs<float, A> args;
  args.models = call.models;
  args.geometry = call.bed.embed();
  args.rows = call.s.rows;
  args.dz = call.s.dz;
  args.y = call.s.y;
  args.mean = norm.mean, args.rstd = norm.rstd, args.gamma = norm.gamma, args.sums = norm.sums;
  args.dw = call.s.dw;
  args.dw_chunk_stride = int64_t{shape.first_width} * shape.channels() * shape.filters;
  return args;
}

template <class A>
DilatedConvBackwardArgs<float, A> ConvBackward(const typename RowMaker<A>::Call& call, int dilation, bool fused) {
  DilatedConvBackwardArgs<float, A> args;
  args.models = call.models;
  args.geometry = call.bed.conv(dilation);
  args.dz = call.s.dz;
  args.y = call.s.y;
  if (fused) args.norm = call.bed.norm(call.s);
  args.w = call.s.w;
  args.packed = call.s.packed;
  args.x = call.s.x;
  if (fused) args.prologue = call.bed.prologue(call.s);
  args.dx = call.s.dx;
  args.chunk_sums = call.s.moments;
  args.dw = call.s.dw;
  args.dw_chunk_stride = args.geometry.weights();
  return args;
}

template <class A>
void AddEmbedRows(RowMaker<A>& maker, bool fused) {
  using Call = typename RowMaker<A>::Call;
  const Shape& s = maker.s;
  const std::string who = fused ? "ours" : "plain";
  const double flops = maker.o.batch * LookupFlops(s), bases = 4.0 * maker.o.batch * PackedWords(s.length);
  maker.Add("EmbedConvForward", who, flops, maker.tensor + bases + maker.embed, [fused](const Call& call) {
    return call.backend().EmbedConvForward(
        {call.models, call.bed.embed(), call.s.rows, call.s.w, call.s.y, fused ? call.s.moments : PerModel<float>{}});
  });
  maker.Add("EmbedConvBackward", who, flops, (fused ? 2 : 1) * maker.tensor + bases + kBatchChunks * maker.embed,
            [fused](const Call& call) { return call.backend().EmbedConvBackward(EmbedBackward<A>(call, fused)); });
  if (!fused) return;
  const double channels = s.channels();
  maker.Add("EmbedConvInputGrad", who, 2.0 * maker.o.batch * RowTaps(s.length, s.first_width, 1) * s.filters * channels,
            2 * maker.tensor + maker.embed + 4.0 * maker.o.batch * s.length * channels, [](const Call& call) {
              return call.backend().EmbedConvInputGrad({EmbedBackward<A>(call, true), call.s.w, call.s.input_gradient});
            });
}

template <class A>
void AddPeer(RowMaker<A>& maker, const std::string& name, double flops, typename CublasPeer<A>::Product product) {
  if (!maker.o.Peer("cublas") || maker.o.emulated) return;
  maker.Push(CublasRow<A>(maker.Named(name, "cublas"), maker.o, flops, product));
}

template <class A>
void AddForward(RowMaker<A>& maker, int d, bool fused, double flops) {
  using Call = typename RowMaker<A>::Call;
  const std::string name = absl::StrCat("DilatedConvForward/d", d);
  maker.Add(name, fused ? "ours" : "plain", flops, 2 * maker.tensor + maker.conv + (fused ? maker.mask : 0),
            [=](const Call& call) {
              return call.backend().DilatedConvForward(
                  {call.models, call.bed.conv(d), call.s.x, fused ? call.bed.prologue(call.s) : Prologue<float>{},
                   call.s.w, call.s.packed, call.s.y, fused ? call.s.moments : PerModel<float>{}});
            });
  if (fused) AddPeer(maker, name, flops, CublasPeer<A>::Product::kConvForward);
}

template <class A>
void AddBackward(RowMaker<A>& maker, int layer, bool fused, double flops) {
  using Call = typename RowMaker<A>::Call;
  const int d = maker.s.dilations[layer];
  const bool skip = fused && layer == 0, pool = fused && layer == maker.s.residual_layers - 1;
  const double pooled = maker.flat + maker.mask;
  const double reads = !fused
                           ? 2 * maker.tensor
                           : (pool ? 2 * maker.tensor + pooled : 3 * maker.tensor) + maker.mask + (skip ? pooled : 0);
  const std::string name = absl::StrCat("DilatedConvBackward/d", d);
  maker.Add(name, fused ? "ours" : "plain", 2 * flops, reads + maker.tensor + (1 + kBatchChunks) * maker.conv,
            [=](const Call& call) {
              DilatedConvBackwardArgs<float, A> args = ConvBackward<A>(call, d, fused);
              if (pool) args.pool = call.bed.pool(call.s);
              if (skip) args.skip = call.bed.pool(call.s);
              return call.backend().DilatedConvBackward(args);
            });
  if (fused) AddPeer(maker, name, 2 * flops, CublasPeer<A>::Product::kConvBackward);
}

template <class A>
void AddHalf(RowMaker<A>& maker, int d, bool dx, double flops) {
  using Call = typename RowMaker<A>::Call;
  maker.Add(absl::StrCat("DilatedConvBackward/d", d), dx ? "dx" : "dw", flops,
            3 * maker.tensor + maker.mask + (dx ? maker.tensor + maker.conv : kBatchChunks * maker.conv),
            [=](const Call& call) {
              DilatedConvBackwardArgs<float, A> args = ConvBackward<A>(call, d, true);
              if (dx) {
                args.dw = {};
              } else {
                args.dx = {};
                args.chunk_sums = {};
              }
              return call.backend().DilatedConvBackward(args);
            });
}

}  // namespace

template <class A>
void AddConvolutionRows(RowMaker<A>& maker) {
  const Shape& s = maker.s;
  const bool both[] = {true, false};
  for (const bool fused : both) {
    if (maker.o.Variant(fused ? "fused" : "plain")) AddEmbedRows(maker, fused);
  }
  for (int layer = 0; layer < s.residual_layers; ++layer) {
    const int d = s.dilations[layer];
    const double flops = maker.o.batch * RowTaps(s.length, s.width, d) * 2.0 * s.filters * s.filters;
    for (const bool fused : both) {
      if (!maker.o.Variant(fused ? "fused" : "plain")) continue;
      AddForward(maker, d, fused, flops);
      AddBackward(maker, layer, fused, flops);
    }
    for (const bool dx : both) {
      if (maker.o.Variant(dx ? "dx" : "dw")) AddHalf(maker, d, dx, flops);
    }
  }
}

template void AddConvolutionRows(RowMaker<float>&);
template void AddConvolutionRows(RowMaker<BFloat16>&);

}  // namespace rb::bench
