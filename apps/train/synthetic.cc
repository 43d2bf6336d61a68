#include "apps/train/synthetic.h"

#include <algorithm>
#include <numeric>

#include "engine/check.h"
#include "kernels/packed_bases.h"
#include "model/upload.h"

namespace rb::apps {

absl::StatusOr<std::unique_ptr<SyntheticTraining>> SyntheticTraining::Create(const SyntheticOptions& options,
                                                                             Machine& machine) {
  std::unique_ptr<SyntheticTraining> training(new SyntheticTraining(options, machine));
  RB_CHECK(options.models >= 1 && options.train_rows >= options.batch && options.sequences >= options.train_rows);
  training->arena_ = machine.NewArena();
  RB_RETURN_IF_ERROR(training->UploadSequences());
  RB_ASSIGN_OR_RETURN(training->net_,
                      NewNetwork(options.shape, options.models, options.batch, training->input_, machine));
  RB_RETURN_IF_ERROR(training->UploadSlots());
  RB_RETURN_IF_ERROR(training->Rewind());
  return training;
}

absl::Status SyntheticTraining::UploadSequences() {
  const Shape& s = options_.shape;
  PhiloxStream random(DeriveKey(1, Purpose::kSimulate, 0));
  const auto count = static_cast<size_t>(options_.sequences), words = static_cast<size_t>(PackedWords(s.length));
  std::vector<uint32_t> bases(count * words);
  std::vector<uint8_t> codes(static_cast<size_t>(s.length));
  for (size_t i = 0; i < count; ++i) {
    for (size_t p = 0; p < codes.size(); p += 16) {  // a draw has 16 bases
      uint32_t bits = random.Next();
      for (size_t q = p; q < std::min(p + 16, codes.size()); ++q, bits >>= 2) codes[q] = bits & 3u;
    }
    PackBases(codes.data(), s.length, &bases[i * words]);
  }
  std::vector<float> tracks(count * static_cast<size_t>(s.length * s.structure));
  for (float& value : tracks) value = static_cast<float>(random.Next() >> 8) * 0x1p-24f;
  RB_ASSIGN_OR_RETURN(input_.bases, UploadNew(machine_, *arena_, bases, "packed bases"));
  RB_ASSIGN_OR_RETURN(input_.tracks, UploadNew(machine_, *arena_, tracks, "structure tracks"));
  return absl::OkStatus();
}

absl::Status SyntheticTraining::UploadSlots() {
  const int models = options_.models;
  std::vector<float> targets(static_cast<size_t>(options_.sequences));
  PhiloxStream random(DeriveKey(2, Purpose::kSimulate, 0));
  for (float& value : targets) value = static_cast<float>(random.Next() >> 8) * 0x1p-23f - 1;
  std::vector<int32_t> rows(static_cast<size_t>(options_.train_rows));  // every second probe or so, in order
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<int32_t>(static_cast<int64_t>(i) * options_.sequences / options_.train_rows);
  }
  RB_ASSIGN_OR_RETURN(const PerModel<int32_t> training_rows,
                      arena_->AllocatePerModel<int32_t>(models, options_.train_rows, "training rows"));
  std::vector<float*> places(static_cast<size_t>(models));
  std::vector<float> parameters(static_cast<size_t>(net_->table().storage()));
  std::vector<ModelSlot> slots(places.size());
  std::vector<int32_t> live(places.size());
  std::iota(live.begin(), live.end(), 0);
  for (int m = 0; m < models; ++m) {
    RB_RETURN_IF_ERROR(UploadAll(machine_, training_rows[m], rows));
    RB_ASSIGN_OR_RETURN(places[m], UploadNew(machine_, *arena_, targets, "targets"));
    InitializeParameters(net_->table(), 1, static_cast<uint64_t>(m), parameters.data());
    RB_RETURN_IF_ERROR(UploadAll(machine_, net_->parameters()[m], parameters));
    slots[m].dropout_key = DeriveKey(1, Purpose::kDropout, m);
    slots[m].order_key = DeriveKey(1, Purpose::kEpochOrder, m);
    slots[m].train_rows = options_.train_rows;
    slots[m].active = true;
    slots[m].schedule.learning_rate = 1e-4;
  }
  RB_ASSIGN_OR_RETURN(list_.slots, UploadNew(machine_, *arena_, slots, "model slots"));
  RB_ASSIGN_OR_RETURN(list_.live, UploadNew(machine_, *arena_, live, "live models"));
  list_.num_slots = models;
  const std::vector<int32_t> counts(places.size(), options_.train_rows);
  source_.training_rows = training_rows;
  RB_ASSIGN_OR_RETURN(source_.num_rows, UploadNew(machine_, *arena_, counts, "numbers of training rows"));
  RB_ASSIGN_OR_RETURN(float** const machine_places, UploadNew(machine_, *arena_, places, "places of targets"));
  source_.targets = machine_places;
  RB_ASSIGN_OR_RETURN(states_, arena_->Allocate<StepState>(models, "step states"));
  RB_ASSIGN_OR_RETURN(tick_, arena_->Allocate<int64_t>(1, "batch number"));
  RB_ASSIGN_OR_RETURN(num_rows_, arena_->Allocate<int32_t>(models, "numbers of rows to score"));
  return absl::OkStatus();
}

absl::Status SyntheticTraining::Rewind() { return machine_.BeginEpoch({list_, tick_}); }

absl::Status SyntheticTraining::Step() {
  RB_RETURN_IF_ERROR(machine_.BeginStep({list_, options_.batch, tick_, states_}));
  const int group = options_.group > 0 ? options_.group : options_.models;
  for (int first = 0; first < options_.models; first += group) {
    const int count = std::min(group, options_.models - first);
    RB_RETURN_IF_ERROR(net_->Train({states_, list_.live + first, count}, source_));
  }
  return machine_.EndStep({list_, tick_, states_, net_->losses()});
}

absl::StatusOr<std::unique_ptr<Program>> SyntheticTraining::NewStep() {
  return machine_.NewProgram([this] { return Step(); });
}

absl::StatusOr<double> SyntheticTraining::Wait() {
  ModelSlot first;
  RB_RETURN_IF_ERROR(machine_.Download(&first, list_.slots, sizeof(first)));
  int64_t ticks = 0;
  RB_RETURN_IF_ERROR(machine_.Download(&ticks, tick_, sizeof(ticks)));
  return first.loss_sum / std::max(1.0, static_cast<double>(ticks) * options_.batch);
}

absl::StatusOr<FoldedModels> SyntheticTraining::Fold() {
  const Folding folding = FoldingOf(options_.shape);
  FoldedModels models;
  models.offsets = folding.offsets;
  RB_ASSIGN_OR_RETURN(const FoldNormLayer* layers, UploadNew(machine_, *arena_, folding.layers, "folding table"));
  RB_ASSIGN_OR_RETURN(models.values, arena_->AllocatePerModel<float>(options_.models, folding.size, "folded weights"));
  RB_RETURN_IF_ERROR(machine_.FoldNorm({list_.live, options_.models, layers, static_cast<int>(folding.layers.size()),
                                        kBatchNormEpsilon, net_->parameters(), models.values}));
  return models;
}

absl::StatusOr<std::unique_ptr<Program>> SyntheticTraining::NewScoring(Precision precision, int rows) {
  RB_CHECK(rows <= options_.sequences);
  const int models = options_.models;
  RB_ASSIGN_OR_RETURN(const FoldedModels folded, Fold());
  RB_ASSIGN_OR_RETURN(const PerModel<float> out, arena_->AllocatePerModel<float>(models, rows, "predictions"));
  RB_RETURN_IF_ERROR(UploadAll(machine_, num_rows_, std::vector<int32_t>(static_cast<size_t>(models), rows)));
  RB_ASSIGN_OR_RETURN(scorer_,
                      machine_.NewModelsScorer(GeometryOf(options_.shape), folded.offsets, precision, models, rows));
  ScoreModelsArgs args;
  args.live = list_.live;
  args.count = models;
  args.folded = folded.values;
  args.bases = input_.bases;
  args.tracks = input_.tracks;
  args.num_rows = num_rows_;
  args.max_rows = rows;
  args.out = out;
  return machine_.NewProgram([this, args] { return scorer_->Score(args); });
}

}  // namespace rb::apps
