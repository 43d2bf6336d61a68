// Rows of batch norm, pooling, the dense layers and Adam.
#include "bench/cublas_peer.h"
#include "bench/row_maker.h"

namespace rb::bench {
namespace {

template <class A>
void AddNormRows(RowMaker<A>& maker) {
  using Call = typename RowMaker<A>::Call;
  const int c = maker.s.filters, l = maker.s.length;
  const double chunks = 4.0 * kBatchChunks * 2 * c;
  maker.Add("BatchNormFinalize", "ours", 0, chunks + 4.0 * 2 * c, [=](const Call& call) {
    return call.backend().BatchNormFinalize(
        {call.models, c, l, 1e-3f, 0.99f, call.s.moments, call.s.packed, call.s.packed.Offset(c), {}, {}});
  });
  maker.Add("BatchNormGradFinalize", "ours", 0, chunks + 4.0 * 4 * c, [=](const Call& call) {
    return call.backend().BatchNormGradFinalize(
        {call.models, c, call.s.sums, call.s.packed, call.s.packed.Offset(2 * c), call.s.packed.Offset(3 * c)});
  });
}

// The prologue as an operator of its own: what fusing it saves.
template <class A>
void AddApplyRow(RowMaker<A>& maker) {
  using Call = typename RowMaker<A>::Call;
  const int c = maker.s.filters, l = maker.s.length;
  maker.Add("BatchNormApply", "plain", 0, 2 * maker.tensor + maker.mask, [=](const Call& call) {
    const BatchNormApplyArgs<float, A> args = {call.models, c, l, call.s.x, call.bed.prologue(call.s), call.s.dx};
    return RB_BENCH_CALL(call.bench, BatchNormApply, args);
  });
}

template <class A>
void AddPoolRows(RowMaker<A>& maker) {
  using Call = typename RowMaker<A>::Call;
  const Shape& s = maker.s;
  maker.Add("ResidualPoolForward", "ours", 0, 2 * maker.tensor + 2 * maker.mask + maker.flat, [](const Call& call) {
    const Shape& s = call.bed.shape();
    const Prologue<float> norm = call.bed.prologue(call.s);
    return call.backend().ResidualPoolForward({call.models, s.length, s.filters, s.pool, call.bed.batch(), call.s.y,
                                               norm.mean, norm.rstd, norm.gamma, norm.beta, call.s.x, norm,
                                               s.dropout_before_pool, s.dropout_after_pool, 64, 65, call.s.pool_mask,
                                               call.s.pool_out_mask, call.s.p});
  });
  const double covered = static_cast<double>(s.pools()) * s.pool / s.length;  // of the positions
  maker.Add("ResidualPoolBackward", "ours", 0, covered * (maker.tensor + maker.mask) + 2 * maker.flat,
            [](const Call& call) {
              const Shape& s = call.bed.shape();
              const Prologue<float> norm = call.bed.prologue(call.s);
              return call.backend().ResidualPoolBackward({call.models, s.length, s.filters, s.pool, call.bed.batch(),
                                                          call.s.y, norm.mean, norm.rstd, s.dropout_before_pool,
                                                          s.dropout_after_pool, call.s.pool_mask, call.s.pool_out_mask,
                                                          call.s.dp_scaled, call.s.moments});
            });
}

template <class A>
void AddDenseRows(RowMaker<A>& maker) {
  using Call = typename RowMaker<A>::Call;
  const int in = maker.s.flat(), out = maker.s.hidden, n = maker.o.batch;
  const double flops = 2.0 * n * in * out;
  maker.Add("DenseForward", "ours", flops, maker.flat + maker.dense + maker.hidden, [=](const Call& call) {
    return call.backend().DenseForward(
        {call.models, in, out, n, call.s.p, call.s.w, call.s.packed, call.s.z, call.s.moments});
  });
  maker.Add("DenseBackward", "ours", 2 * flops, 2 * maker.flat + 2 * maker.dense + 3 * maker.hidden,
            [=](const Call& call) {
              return call.backend().DenseBackward({call.models, in, out, n, call.s.dh, call.s.z, call.bed.norm(call.s),
                                                   call.s.p, call.s.w, call.s.packed, call.s.dp, call.s.dw});
            });
  if (maker.o.Peer("cublas") && !maker.o.emulated) {
    using Product = typename CublasPeer<A>::Product;
    maker.Push(CublasRow<A>(maker.Named("DenseForward", "cublas"), maker.o, flops, Product::kDenseForward));
    maker.Push(CublasRow<A>(maker.Named("DenseBackward", "cublas"), maker.o, 2 * flops, Product::kDenseBackward));
  }
  maker.Add("HeadForwardBackward", "ours", 6.0 * n * out, 2 * maker.hidden, [=](const Call& call) {
    const Prologue<float> norm = call.bed.prologue(call.s);
    return call.backend().HeadForwardBackward({call.models,
                                               out,
                                               n,
                                               Loss::kSquaredError,
                                               call.s.z,
                                               norm.mean,
                                               norm.rstd,
                                               norm.gamma,
                                               norm.beta,
                                               call.bed.shape().dropout_dense,
                                               66,
                                               call.s.w,
                                               call.s.targets,
                                               call.s.out,
                                               call.s.dh_out,
                                               call.s.moments,
                                               call.s.dw,
                                               (out + 1 + 31) / 32 * 32,
                                               call.s.losses,
                                               false});
  });
}

template <class A>
void AddUpdateRow(RowMaker<A>& maker) {
  using Call = typename RowMaker<A>::Call;
  const ParameterTable table(maker.s);
  double gradients = 0;
  for (const GradientSegment& segment : table.Segments()) gradients += 4.0 * segment.size * segment.chunks;
  maker.Add("Adam", "ours", 0, gradients + 6 * 4.0 * table.trained_count(), [](const Call& call) {
    return call.backend().Adam({call.models, call.bed.segments(), call.bed.num_segments(), 0.9f, 0.999f, 1e-7f,
                                call.s.gradients, call.s.parameters, call.s.m, call.s.v});
  });
}

}  // namespace

template <class A>
void AddOtherRows(RowMaker<A>& maker) {
  if (maker.o.Variant("fused")) AddNormRows(maker);
  if (maker.o.Variant("plain")) AddApplyRow(maker);
  if (!maker.o.Variant("fused")) return;
  AddPoolRows(maker);
  AddDenseRows(maker);
  AddUpdateRow(maker);
}

template void AddOtherRows(RowMaker<float>&);
template void AddOtherRows(RowMaker<BFloat16>&);

}  // namespace rb::bench
