#include "model/shape.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/common.h"

namespace rb {
namespace {

// Bounds that keep every product of sizes far inside 64 bits and a scorer's weights inside memory.
constexpr int kMaxFilters = 1024;
constexpr int kMaxHidden = 4096;
constexpr int kMaxWidth = 31;

absl::Status OutOfRange(const char* field, double value, const std::string& expected) {
  return absl::InvalidArgumentError(absl::StrCat("shape: ", field, " is ", value, "; expected ", expected));
}

absl::Status ValidateRange(const char* field, int value, int low, int high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return OutOfRange(field, value, absl::StrCat(low, " to ", high));
}

absl::Status ValidatePanels(const char* field, int value, int high) {
  if (value >= kPanel && value <= high && value % kPanel == 0) return absl::OkStatus();
  return OutOfRange(field, value, absl::StrCat("a multiple of ", kPanel, " from ", kPanel, " to ", high));
}

absl::Status ValidateOdd(const char* field, int value) {
  if (value >= 1 && value <= kMaxWidth && value % 2 == 1) return absl::OkStatus();
  return OutOfRange(field, value, absl::StrCat("an odd width from 1 to ", kMaxWidth));
}

// The kernels compare 16 random bits with the rate; 0.99 still keeps some 655 of 65,536.
absl::Status ValidateRate(const char* field, float rate) {
  if (rate >= 0.0f && rate <= 0.99f) return absl::OkStatus();
  return OutOfRange(field, rate, "a dropout rate from 0 to 0.99");
}

absl::Status ValidateModule(const Shape& shape) {
  if (auto s = ValidateOdd("width", shape.width); !s.ok()) return s;
  if (auto s = ValidateRange("residual_layers", shape.residual_layers, 1, kMaxResidualLayers); !s.ok()) return s;
  for (int i = 0; i < shape.residual_layers; ++i) {
    // A tap further away than the sequence is long would only ever read padding.
    const int most = shape.width == 1 ? shape.length : (shape.length - 1) / ((shape.width - 1) / 2);
    const std::string field = absl::StrCat("dilations[", i, "]");
    if (auto s = ValidateRange(field.c_str(), shape.dilations[i], 1, most); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateShape(const Shape& shape) {
  if (auto s = ValidateRange("length", shape.length, 16, 512); !s.ok()) return s;
  if (shape.structure != 0 && shape.structure != 2 && shape.structure != 5) {
    return OutOfRange("structure", shape.structure, "0 (none), 2 (paired, unpaired) or 5 (PHIME)");
  }
  if (auto s = ValidatePanels("filters", shape.filters, kMaxFilters); !s.ok()) return s;
  if (auto s = ValidateOdd("first_width", shape.first_width); !s.ok()) return s;
  if (auto s = ValidateModule(shape); !s.ok()) return s;
  if (auto s = ValidateRange("pool", shape.pool, 1, shape.length); !s.ok()) return s;
  if (auto s = ValidatePanels("hidden", shape.hidden, kMaxHidden); !s.ok()) return s;
  if (auto s = ValidateRate("dropout_first", shape.dropout_first); !s.ok()) return s;
  if (auto s = ValidateRate("dropout_inner", shape.dropout_inner); !s.ok()) return s;
  if (auto s = ValidateRate("dropout_before_pool", shape.dropout_before_pool); !s.ok()) return s;
  if (auto s = ValidateRate("dropout_after_pool", shape.dropout_after_pool); !s.ok()) return s;
  return ValidateRate("dropout_dense", shape.dropout_dense);
}

ScorerGeometry GeometryOf(const Shape& shape) {
  ScorerGeometry g;
  g.length = shape.length;
  g.structure = shape.structure;
  g.filters = shape.filters;
  g.first_width = shape.first_width;
  g.width = shape.width;
  g.residual_layers = shape.residual_layers;
  for (int i = 0; i < kMaxResidualLayers; ++i) g.dilations[i] = shape.dilations[i];
  g.pool = shape.pool;
  g.hidden = shape.hidden;
  g.sigmoid = shape.classification;
  return g;
}

}  // namespace rb
