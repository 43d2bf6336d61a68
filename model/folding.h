// The folded network's layout: which tensors batch norm is folded into, and where they lie.
#ifndef RB_MODEL_FOLDING_H_
#define RB_MODEL_FOLDING_H_

#include <vector>

#include "engine/machine.h"
#include "model/shape.h"

namespace rb {

struct Folding {
  std::vector<FoldNormLayer> layers;  // from a model's parameters to its folded values
  FoldedOffsets offsets;
  int64_t size = 0;  // folded values a model
};
Folding FoldingOf(const Shape& shape);

}  // namespace rb

#endif  // RB_MODEL_FOLDING_H_
