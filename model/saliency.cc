#include "model/saliency.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/check.h"
#include "kernels/packed_bases.h"
#include "model/predictor.h"
#include "model/structure_tracks.h"
#include "model/upload.h"

namespace rb {
namespace {

// Values of one layer's activations that are held at once: 266 sequences of 41 positions and 96 filters.
constexpr int64_t kBlockValues = 1 << 20;

int MostSequences(const Shape& shape) {
  const int64_t sequence = int64_t{shape.length} * shape.filters;
  return static_cast<int>(std::max<int64_t>(kBatchChunks, kBlockValues / sequence));
}

Shape WithoutDropout(Shape shape) {
  shape.dropout_first = shape.dropout_inner = shape.dropout_before_pool = 0;
  shape.dropout_after_pool = shape.dropout_dense = 0;
  return shape;
}

// d sigmoid(z) / dz without the cancellation of p * (1 - p).
double SigmoidSlope(double z) {
  const double e = std::exp(-std::abs(z));
  return e / ((1 + e) * (1 + e));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Saliency>> Saliency::Create(const ModelFile& model, Machine& machine, int block) {
  RB_RETURN_IF_ERROR(RequireNetwork(model, "a gradient"));
  RB_RETURN_IF_ERROR(ValidateShape(model.config.shape));
  const Shape shape = WithoutDropout(model.config.shape);
  RB_CHECK(model.parameters.size() == static_cast<size_t>(ParameterTable(shape).storage()));
  const int most = MostSequences(shape);
  std::unique_ptr<Saliency> saliency(new Saliency(shape, machine, block > 0 ? std::min(block, most) : most));
  RB_RETURN_IF_ERROR(saliency->Prepare(model.parameters));
  return saliency;
}

absl::Status Saliency::Prepare(const std::vector<float>& parameters) {
  const int64_t positions = int64_t{block_} * shape_.length;
  RB_ASSIGN_OR_RETURN(bases_, arena_->Allocate<uint32_t>(int64_t{block_} * PackedWords(shape_.length), "packed bases"));
  if (shape_.structure > 0) {
    RB_ASSIGN_OR_RETURN(tracks_, arena_->Allocate<float>(positions * shape_.structure, "structure tracks"));
  }
  RB_ASSIGN_OR_RETURN(state_, arena_->Allocate<StepState>(1, "step states"));
  RB_ASSIGN_OR_RETURN(live_, arena_->Allocate<int32_t>(1, "live models"));  // slot 0
  RB_ASSIGN_OR_RETURN(dx_, arena_->AllocatePerModel<float>(1, positions * shape_.channels(), "input gradients"));
  RB_ASSIGN_OR_RETURN(net_, NewNetwork(shape_, 1, block_, {bases_, tracks_}, machine_));
  RB_RETURN_IF_ERROR(UploadAll(machine_, net_->parameters()[0], parameters));
  std::vector<int32_t> rows(static_cast<size_t>(block_));
  std::iota(rows.begin(), rows.end(), 0);
  RB_RETURN_IF_ERROR(UploadAll(machine_, net_->rows()[0], rows));
  return net_->FreezeBatchNorm();
}

absl::Status Saliency::RunBlock(const Sequences& sequences, const std::vector<float>& tracks, int64_t first, int count,
                                float* gradients) {
  const int64_t values = int64_t{shape_.length} * shape_.structure, channels = shape_.length * shape_.channels();
  const size_t words = static_cast<size_t>(count) * PackedWords(shape_.length);
  RB_RETURN_IF_ERROR(machine_.Upload(bases_, sequences.packed(first), words * sizeof(uint32_t)));
  if (values > 0) {
    const float* from = tracks.data() + first * values;
    RB_RETURN_IF_ERROR(machine_.Upload(tracks_, from, static_cast<size_t>(count * values) * sizeof(float)));
  }
  StepState state;
  state.rows = count;
  RB_RETURN_IF_ERROR(machine_.Upload(state_, &state, sizeof(state)));
  RB_RETURN_IF_ERROR(net_->Differentiate({state_, live_, 1}, dx_));
  RB_RETURN_IF_ERROR(machine_.Download(gradients, dx_[0], static_cast<size_t>(count * channels) * sizeof(float)));
  if (!shape_.classification) return absl::OkStatus();
  std::vector<float> out(static_cast<size_t>(count));
  RB_RETURN_IF_ERROR(machine_.Download(out.data(), net_->predictions()[0], out.size() * sizeof(float)));
  for (int n = 0; n < count; ++n) {
    const double slope = SigmoidSlope(static_cast<double>(out[static_cast<size_t>(n)]));
    for (int64_t i = n * channels; i < (n + 1) * channels; ++i) {
      gradients[i] = static_cast<float>(slope * static_cast<double>(gradients[i]));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> Saliency::Gradients(const Sequences& sequences) {
  RB_RETURN_IF_ERROR(CheckSequences(sequences, GeometryOf(shape_)));
  const int64_t size = sequences.size(), values = int64_t{shape_.length} * shape_.channels();
  std::vector<float> gradients(static_cast<size_t>(size * values)), made;
  const std::vector<float>& tracks = TracksFor(shape_.structure, sequences, made);
  for (int64_t first = 0; first < size; first += block_) {
    const int count = static_cast<int>(std::min<int64_t>(block_, size - first));
    RB_RETURN_IF_ERROR(RunBlock(sequences, tracks, first, count, gradients.data() + first * values));
  }
  return gradients;
}

}  // namespace rb
