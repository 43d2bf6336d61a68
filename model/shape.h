// The architecture, each number with the sentence it comes from.
#ifndef RB_MODEL_SHAPE_H_
#define RB_MODEL_SHAPE_H_

#include "absl/status/status.h"
#include "kernels/scorer.h"

namespace rb {

struct Shape {
  int length = 41;    // "zero-padded to the longest sequence": 41 nt [Koo 2021, Methods: RNAcompete dataset]
  int structure = 0;  // extra input channels: 0, 2 (PU) or 5 (PHIME)
  int filters = 96;   // "convolution (96 filters, filter size 11, ReLU)" [Methods: ResidualBind architecture]
  int first_width = 11;
  int width = 3;  // "convolution (96 filters, filter size 3)" inside the residual module
  int residual_layers = 3;
  int dilations[kMaxResidualLayers] = {1, 2, 4};  // dilation rate of each convolution of the module
  int pool = 10;                                  // "mean-pooling (size 10, stride 10)"
  int hidden = 256;                               // "fully-connected (256 units, ReLU)"
  float dropout_first = 0.1f;                     // behind layer 1
  float dropout_inner = 0.2f;                     // behind the module's inner ReLUs
  float dropout_before_pool = 0.2f;
  float dropout_after_pool = 0.0f;
  float dropout_dense = 0.5f;
  bool classification = false;  // sigmoid output and cross-entropy instead of identity and squared error

  constexpr int pools() const { return length / pool; }
  constexpr int flat() const { return pools() * filters; }
  constexpr int channels() const { return 4 + structure; }
  constexpr bool operator==(const Shape&) const = default;
};

inline constexpr Shape kPaperShape = {};
// The authors' code: four dilated convolutions, dropout 0.1 inside, 0.2 after the pooling [docs/numerics.md].
inline constexpr Shape kPublishedShape = [] {
  Shape s;
  s.residual_layers = 4;
  s.dilations[0] = 1, s.dilations[1] = 2, s.dilations[2] = 4, s.dilations[3] = 8;
  s.dropout_inner = 0.1f;
  s.dropout_before_pool = 0.0f;
  s.dropout_after_pool = 0.2f;
  return s;
}();

inline constexpr float kBatchNormEpsilon = 1e-3f;  // Keras defaults, which the authors used
inline constexpr float kBatchNormMomentum = 0.99f;

// Refuses what the kernels cannot run (lengths outside 16-512, filters or hidden no multiple of 32, even widths, ...),
// naming the field, its value and the allowed range.
absl::Status ValidateShape(const Shape& shape);

ScorerGeometry GeometryOf(const Shape& shape);

}  // namespace rb

#endif  // RB_MODEL_SHAPE_H_
