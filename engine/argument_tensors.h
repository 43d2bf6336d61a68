// Every operator's tensors by name, for machines that run an operator twice (engine/check_machine.cc):
// VisitTensors(args, f) calls f("y", args.y) and so on with each member that points into a machine's memory.
//
// A new operator adds its line here; an operator that stores activations also says how it is called with float ones.
#ifndef RB_ENGINE_ARGUMENT_TENSORS_H_
#define RB_ENGINE_ARGUMENT_TENSORS_H_

#include "engine/backend.h"

namespace rb {

template <class F>
void VisitTensors(Models& m, const F& f) {
  f("state", m.state);
  f("live", m.live);
}
template <class F>
void VisitTensors(SlotList& l, const F& f) {
  f("slots", l.slots);
  f("live", l.live);
}
template <class F>
void VisitTensors(EmbedConvGeometry& g, const F& f) {
  f("bases", g.bases);
  f("tracks", g.tracks);
}
template <class T, class F>
void VisitTensors(Prologue<T>& p, const F& f) {
  f("prologue mean", p.mean);
  f("prologue rstd", p.rstd);
  f("prologue gamma", p.gamma);
  f("prologue beta", p.beta);
  f("prologue mask", p.mask);
}
template <class T, class F>
void VisitTensors(NormGrad<T>& n, const F& f) {
  f("norm mean", n.mean);
  f("norm rstd", n.rstd);
  f("norm gamma", n.gamma);
  f("norm sums", n.sums);
}
template <class T, class F>
void VisitTensors(PoolGrad<T>& p, const F& f) {
  f("pool dp", p.dp);
  f("pool mask", p.mask);
}

// RB_TENSORS(Args, nested members, tensors)
#define RB_VISIT_NESTED(member) VisitTensors(a.member, f);
#define RB_VISIT_TENSOR(member) f(#member, a.member);
#define RB_EACH_1(m, x) m(x)
#define RB_EACH_2(m, x, ...) m(x) RB_EACH_1(m, __VA_ARGS__)
#define RB_EACH_3(m, x, ...) m(x) RB_EACH_2(m, __VA_ARGS__)
#define RB_EACH_4(m, x, ...) m(x) RB_EACH_3(m, __VA_ARGS__)
#define RB_EACH_5(m, x, ...) m(x) RB_EACH_4(m, __VA_ARGS__)
#define RB_EACH_6(m, x, ...) m(x) RB_EACH_5(m, __VA_ARGS__)
#define RB_EACH_7(m, x, ...) m(x) RB_EACH_6(m, __VA_ARGS__)
#define RB_EACH_8(m, x, ...) m(x) RB_EACH_7(m, __VA_ARGS__)
#define RB_EACH_9(m, x, ...) m(x) RB_EACH_8(m, __VA_ARGS__)
#define RB_EACH_10(m, x, ...) m(x) RB_EACH_9(m, __VA_ARGS__)
#define RB_EACH_11(m, x, ...) m(x) RB_EACH_10(m, __VA_ARGS__)
#define RB_EACH_12(m, x, ...) m(x) RB_EACH_11(m, __VA_ARGS__)
#define RB_EACH_13(m, x, ...) m(x) RB_EACH_12(m, __VA_ARGS__)
#define RB_PICK(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, name, ...) name
#define RB_EACH(m, ...)                                                                                            \
  RB_PICK(__VA_ARGS__, RB_EACH_13, RB_EACH_12, RB_EACH_11, RB_EACH_10, RB_EACH_9, RB_EACH_8, RB_EACH_7, RB_EACH_6, \
          RB_EACH_5, RB_EACH_4, RB_EACH_3, RB_EACH_2, RB_EACH_1)                                                   \
  (m, __VA_ARGS__)
#define RB_NESTED(...) RB_EACH(RB_VISIT_NESTED, __VA_ARGS__)
#define RB_TENSORS(Args, nested, ...)            \
  template <class F>                             \
  void VisitTensors(Args& a, const F& f) {       \
    nested RB_EACH(RB_VISIT_TENSOR, __VA_ARGS__) \
  }
#define RB_STORING_TENSORS(Args, nested, ...)        \
  template <class A, class F>                        \
  void VisitTensors(Args<float, A>& a, const F& f) { \
    nested RB_EACH(RB_VISIT_TENSOR, __VA_ARGS__)     \
  }

RB_TENSORS(BeginEpochArgs<float>, RB_NESTED(list), tick)
RB_TENSORS(BeginStepArgs<float>, RB_NESTED(list), tick, states)
RB_TENSORS(EndStepArgs<float>, RB_NESTED(list), tick, states, losses)
RB_TENSORS(BeginValidationArgs<float>, RB_NESTED(list), rows)
RB_TENSORS(EndEpochArgs<float>, RB_NESTED(list), metrics, parameters, best)
RB_TENSORS(FoldNormArgs<float>, , live, layers, parameters, folded)
RB_TENSORS(PairMetricsArgs<float>, , live, num_rows, x, y, pearson, squared_error)
RB_TENSORS(ScoreModelsArgs, , live, folded, bases, tracks, rows, num_rows, out)
RB_TENSORS(GatherArgs<float>, RB_NESTED(models), training_rows, num_rows, targets, rows, batch_targets)
RB_TENSORS(BatchNormFinalizeArgs<float>, RB_NESTED(models), moments, mean, rstd, running_mean, running_variance)
RB_TENSORS(BatchNormGradFinalizeArgs<float>, RB_NESTED(models), chunk_sums, sums, dgamma, dbeta)
RB_TENSORS(DenseForwardArgs<float>, RB_NESTED(models), x, w, packed, z, moments)
RB_TENSORS(DenseBackwardArgs<float>, RB_NESTED(models, norm), dh, z, x, w, packed, dx, dw)
RB_TENSORS(HeadArgs<float>, RB_NESTED(models), z, mean, rstd, gamma, beta, w, targets, out, dh, chunk_sums, dw, loss)
RB_TENSORS(AdamArgs<float>, RB_NESTED(models), segments, gradients, parameters, m, v)
RB_STORING_TENSORS(EmbedConvForwardArgs, RB_NESTED(models, geometry), rows, w, y, moments)
RB_STORING_TENSORS(EmbedConvBackwardArgs, RB_NESTED(models, geometry), rows, dz, y, mean, rstd, gamma, sums, dw)
RB_STORING_TENSORS(EmbedConvInputGradArgs, RB_NESTED(backward), w, dx)
RB_STORING_TENSORS(DilatedConvForwardArgs, RB_NESTED(models, prologue), x, w, packed, y, moments)
RB_STORING_TENSORS(DilatedConvBackwardArgs, RB_NESTED(models, pool, norm, prologue, skip), dz, y, w, packed, x, dx,
                   chunk_sums, dw)
RB_STORING_TENSORS(ResidualPoolForwardArgs, RB_NESTED(models, skip_prologue), y, mean, rstd, gamma, beta, skip, mask,
                   pool_mask, p)
RB_STORING_TENSORS(ResidualPoolBackwardArgs, RB_NESTED(models), y, mean, rstd, mask, pool_mask, dp, chunk_sums)

// The same call with activations as floats: `widener.Widen(tensor)` gives a float tensor with the same values.
template <class W>
EmbedConvForwardArgs<float> WithFloatActivations(const EmbedConvForwardArgs<float, BFloat16>& a, W& widener) {
  return {a.models, a.geometry, a.rows, a.w, widener.Widen(a.y), a.moments};
}
template <class W>
EmbedConvBackwardArgs<float> WithFloatActivations(const EmbedConvBackwardArgs<float, BFloat16>& a, W& widener) {
  return {a.models, a.geometry, a.rows, widener.Widen(a.dz), widener.Widen(a.y), a.mean, a.rstd,
          a.gamma,  a.sums,     a.dw,   a.dw_chunk_stride};
}
template <class W>
EmbedConvInputGradArgs<float> WithFloatActivations(const EmbedConvInputGradArgs<float, BFloat16>& a, W& widener) {
  return {WithFloatActivations(a.backward, widener), a.w, a.dx};
}
template <class W>
DilatedConvForwardArgs<float> WithFloatActivations(const DilatedConvForwardArgs<float, BFloat16>& a, W& widener) {
  return {a.models, a.geometry, widener.Widen(a.x), a.prologue, a.w, a.packed, widener.Widen(a.y), a.moments};
}
template <class W>
DilatedConvBackwardArgs<float> WithFloatActivations(const DilatedConvBackwardArgs<float, BFloat16>& a, W& widener) {
  return {a.models,         a.geometry,         widener.Widen(a.dz), a.pool, widener.Widen(a.y),  a.norm,       a.w,
          a.packed,         widener.Widen(a.x), a.prologue,          a.skip, widener.Widen(a.dx), a.chunk_sums, a.dw,
          a.dw_chunk_stride};
}
template <class W>
ResidualPoolForwardArgs<float> WithFloatActivations(const ResidualPoolForwardArgs<float, BFloat16>& a, W& widener) {
  return {a.models,
          a.length,
          a.channels,
          a.pool,
          a.batch,
          widener.Widen(a.y),
          a.mean,
          a.rstd,
          a.gamma,
          a.beta,
          widener.Widen(a.skip),
          a.skip_prologue,
          a.rate_before,
          a.rate_after,
          a.layer_before,
          a.layer_after,
          a.mask,
          a.pool_mask,
          a.p};
}
template <class W>
ResidualPoolBackwardArgs<float> WithFloatActivations(const ResidualPoolBackwardArgs<float, BFloat16>& a, W& widener) {
  return {a.models,      a.length,     a.channels, a.pool,      a.batch, widener.Widen(a.y), a.mean, a.rstd,
          a.rate_before, a.rate_after, a.mask,     a.pool_mask, a.dp,    a.chunk_sums};
}

}  // namespace rb

#endif  // RB_ENGINE_ARGUMENT_TENSORS_H_
