#include "model/predictor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/split.h"
#include "engine/check.h"
#include "engine/host_kmer_scan.h"
#include "kernels/metrics.h"
#include "kernels/packed_bases.h"
#include "kernels/profile_draws.h"
#include "model/keras_import.h"
#include "model/structure_tracks.h"

namespace rb {
namespace {

// The experiment's place in the data set.
absl::StatusOr<int64_t> FindExperiment(const ModelFile& model, const Dataset& dataset) {
  const int64_t index = dataset.Find(model.experiment);
  if (index >= 0) return index;
  return absl::NotFoundError(absl::StrCat("experiment '", model.experiment, "' is not in the data set, which has ",
                                          dataset.experiments.size(), " experiments"));
}

}  // namespace

std::vector<float> FoldBatchNorm(const Folding& folding, const std::vector<float>& parameters) {
  std::vector<float> folded(static_cast<size_t>(folding.size));
  const int32_t live = 0;
  cpu::FoldNorm<float>({&live,
                        1,
                        folding.layers.data(),
                        static_cast<int>(folding.layers.size()),
                        kBatchNormEpsilon,
                        {parameters.data(), 0},
                        {folded.data(), 0}});
  return folded;
}

absl::Status CheckSequences(const Sequences& sequences, const ScorerGeometry& geometry) {
  if (sequences.length != geometry.length || !TracksServe(sequences.structure_channels, geometry.structure)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sequences have ", sequences.length, " positions and ", sequences.structure_channels,
                     " structure channels; the model expects ", geometry.length, " and ", geometry.structure));
  }
  const int64_t size = sequences.size();
  RB_CHECK(sequences.bases.size() == static_cast<size_t>(size * PackedWords(sequences.length)));
  RB_CHECK(sequences.tracks.size() == static_cast<size_t>(size * sequences.length * sequences.structure_channels));
  return absl::OkStatus();
}

absl::StatusOr<Predictor> Predictor::Create(const ModelFile& model, Precision precision, Machine& machine,
                                            const EnergySet* chosen) {
  const Shape& shape = model.config.shape;
  RB_RETURN_IF_ERROR(ValidateShape(shape));
  RB_CHECK(model.parameters.size() == static_cast<size_t>(ParameterTable(shape).storage()));
  const Folding folding = FoldingOf(shape);
  const std::vector<float> folded = FoldBatchNorm(folding, model.parameters);
  Predictor predictor;
  predictor.geometry_ = GeometryOf(shape);
  const FoldedWeights weights = folding.offsets.At(folded.data(), shape.residual_layers);
  RB_ASSIGN_OR_RETURN(predictor.scorer_, machine.NewScorer(predictor.geometry_, weights, precision));
  if (shape.structure == 0) return predictor;
  const absl::StatusOr<const EnergySet*> energies = EnergiesOf(model, chosen);
  predictor.folds_ = energies.status();
  if (!energies.ok()) return predictor;  // sequences with tracks need none
  predictor.energies_ = (*energies)->name;
  RB_ASSIGN_OR_RETURN(predictor.folder_, machine.NewFolder(shape.length, *(*energies)->factors));
  return predictor;
}

absl::Status Predictor::AddTracks(Sequences& sequences) const {
  if (!Folds(sequences)) return absl::OkStatus();
  RB_RETURN_IF_ERROR(folds_);
  return AddStructureTracks(geometry_.structure, *folder_, energies_, sequences);
}

absl::StatusOr<std::vector<float>> Predictor::PredictFolded(const Sequences& sequences,
                                                            std::span<const int32_t> rows) const {
  constexpr int64_t kBlock = 4096;
  const int64_t n = rows.empty() ? sequences.size() : std::ssize(rows);
  std::vector<float> out(static_cast<size_t>(n));
  for (int64_t first = 0; first < n; first += kBlock) {
    Sequences block;
    block.length = sequences.length;
    for (int64_t i = first; i < std::min(n, first + kBlock); ++i) {
      const int64_t row = rows.empty() ? i : rows[static_cast<size_t>(i)];
      block.Append(sequences.packed(row), sequences.widths[row]);
    }
    RB_RETURN_IF_ERROR(AddTracks(block));
    RB_RETURN_IF_ERROR(
        scorer_->Score(block.bases.data(), block.tracks.data(), nullptr, block.size(), out.data() + first));
  }
  return out;
}

// Every sequence with every k-mer is folded: a k-mer changes the structure everywhere.
absl::Status Predictor::ScanFolded(const KmerScanArgs& args, const Sequences& sequences) const {
  RB_ASSIGN_OR_RETURN(const std::vector<float> without, Predict(sequences));
  const int64_t kmers = int64_t{1} << (2 * args.k);
  return ScanOnHost(args, without, [&](int64_t first, int64_t count, float* with) -> absl::Status {
    for (int64_t i = first; i < first + count; ++i, with += kmers) {
      Sequences written;
      written.length = geometry_.length;
      for (int64_t m = 0; m < kmers; ++m) {
        uint32_t* const words = written.Append(sequences.packed(i), sequences.widths[i]);
        WriteKmer(words, geometry_.length, m, args.k, args.position);
      }
      RB_ASSIGN_OR_RETURN(const std::vector<float> scores, Predict(written));
      std::copy(scores.begin(), scores.end(), with);
    }
    return absl::OkStatus();
  });
}

absl::Status CheckKmer(int k, int position, int length) {
  if (k < 1 || k > kMaxKmer) {
    return absl::InvalidArgumentError(absl::StrCat("k is ", k, "; expected 1 to ", kMaxKmer));
  }
  if (position < 0 || position > length - k) {
    return absl::InvalidArgumentError(absl::StrCat("a ", k, "-mer at position ", position, " does not fit ", length,
                                                   " positions; expected 0 to ", length - k));
  }
  return absl::OkStatus();
}

absl::StatusOr<KmerScan> Predictor::ScanKmers(const Sequences& sequences, int k, int position,
                                              const DrawnSequences* drawn,
                                              const std::function<void(double share)>& progress) const {
  if (!Folds(sequences)) RB_RETURN_IF_ERROR(CheckSequences(sequences, geometry_));
  RB_RETURN_IF_ERROR(CheckKmer(k, position, geometry_.length));
  if (sequences.size() == 0) return absl::InvalidArgumentError("no sequences to scan; expected at least one");
  KmerScan scan;
  scan.effects.resize(size_t{1} << (2 * k));
  scan.order.resize(scan.effects.size());
  KmerScanArgs args;
  args.bases = sequences.bases.data();
  args.n = sequences.size();
  args.drawn = drawn;
  args.progress = progress;
  RB_CHECK(drawn == nullptr || drawn->thresholds.size() == static_cast<size_t>(geometry_.length) * kProfileThresholds);
  args.k = k, args.position = position;
  args.effects = scan.effects.data(), args.order = scan.order.data();
  RB_RETURN_IF_ERROR(geometry_.structure > 0 ? ScanFolded(args, sequences) : scorer_->ScanKmers(args));
  return scan;
}

absl::StatusOr<std::vector<float>> Predictor::Predict(const Sequences& sequences, std::span<const int32_t> rows) const {
  if (!Folds(sequences)) RB_RETURN_IF_ERROR(CheckSequences(sequences, geometry_));
  const int64_t size = sequences.size();
  for (const int32_t row : rows) {
    if (row >= 0 && row < size) continue;
    return absl::InvalidArgumentError(absl::StrCat("row ", row, " is outside the ", size, " sequences"));
  }
  if (Folds(sequences)) return PredictFolded(sequences, rows);
  const int64_t n = rows.empty() ? size : static_cast<int64_t>(rows.size());
  std::vector<float> out(static_cast<size_t>(n));
  if (n == 0) return out;
  std::vector<float> made;
  const std::vector<float>& own = TracksFor(geometry_.structure, sequences, made);
  const float* tracks = own.empty() ? nullptr : own.data();
  const int32_t* indices = rows.empty() ? nullptr : rows.data();
  RB_RETURN_IF_ERROR(scorer_->Score(sequences.bases.data(), tracks, indices, n, out.data()));
  return out;
}

absl::StatusOr<std::vector<float>> TransformedTargets(const ModelFile& model, const Dataset& dataset,
                                                      int64_t experiment, const std::vector<int32_t>& rows) {
  const std::span<const float> raw = dataset.target(experiment);
  std::vector<float> values(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) values[i] = raw[static_cast<size_t>(rows[i])];
  if (dataset.transformed) return values;
  if (model.extra.contains(kUnknownTransform)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the model of ", model.experiment,
                     " was imported without its data, so that nothing is known of "
                     "how its targets were transformed; expected transformed targets (prepare), or a model imported "
                     "with --data or --transform none"));
  }
  if (model.transform.kind == TransformKind::kNone) return values;
  Transform transform = model.transform;
  if (model.config.preset == Preset::kPublished) {
    const auto fitted = FitTransform(model.transform.kind, model.config.preset, values, values);
    if (!fitted.ok()) {
      return absl::Status(fitted.status().code(),
                          absl::StrCat("experiment '", model.experiment, "', fitting the targets of ", rows.size(),
                                       " rows: ", fitted.status().message()));
    }
    transform = *fitted;
  }
  for (float& v : values) v = static_cast<float>(transform.Apply(v));
  return values;
}

absl::StatusOr<Scored> ScorePresent(const ModelFile& model, const Predictor& predictor, const Dataset& dataset,
                                    const std::vector<int32_t>& rows) {
  RB_ASSIGN_OR_RETURN(const int64_t experiment, FindExperiment(model, dataset));
  const std::vector<int32_t> present = PresentRows(rows, dataset.target(experiment));
  Scored scored;
  if (present.empty()) return scored;  // no rows must not read as "all sequences"
  RB_ASSIGN_OR_RETURN(scored.targets, TransformedTargets(model, dataset, experiment, present));
  RB_ASSIGN_OR_RETURN(scored.predictions, predictor.Predict(dataset.sequences, present));
  return scored;
}

Evaluation MetricsOf(const ModelFile& model, const Scored& scored) {
  Evaluation result;
  result.experiment = model.experiment;
  result.n = std::ssize(scored.targets);
  result.pearson = result.spearman = result.mse = std::numeric_limits<double>::quiet_NaN();
  result.auroc = result.aupr = std::numeric_limits<double>::quiet_NaN();
  if (result.n == 0) return result;
  const float *const f = scored.predictions.data(), *const y = scored.targets.data();
  result.pearson = cpu::Pearson(f, y, result.n);
  result.spearman = cpu::Spearman(f, y, result.n);
  result.mse = cpu::MeanSquaredError(f, y, result.n);
  if (model.config.shape.classification) {
    result.auroc = cpu::AreaUnderRoc(f, y, result.n);
    result.aupr = cpu::AreaUnderPrecisionRecall(f, y, result.n);
  }
  return result;
}

absl::StatusOr<Evaluation> Evaluate(const ModelFile& model, const Predictor& predictor, const Dataset& dataset,
                                    const std::vector<int32_t>& rows) {
  RB_ASSIGN_OR_RETURN(const Scored scored, ScorePresent(model, predictor, dataset, rows));
  return MetricsOf(model, scored);
}

}  // namespace rb
