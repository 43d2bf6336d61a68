#include "model/train_job.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/sha256.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "model/model_file.h"
#include "model/predictor.h"
#include "model/structure_tracks.h"

namespace rb {
namespace {

absl::Status OfExperiment(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("experiment '", name, "': ", what));
}

absl::Status CheckGeometry(const Shape& shape, const Sequences& sequences) {
  if (shape.length != sequences.length || !TracksServe(sequences.structure_channels, shape.structure)) {
    return absl::InvalidArgumentError(absl::StrCat("the data set has ", sequences.length, " positions and ",
                                                   sequences.structure_channels, " structure channels; the shape says ",
                                                   shape.length, " and ", shape.structure));
  }
  RB_CHECK(sequences.bases.size() == static_cast<size_t>(sequences.size() * PackedWords(sequences.length)));
  RB_CHECK(sequences.tracks.size() ==
           static_cast<size_t>(sequences.size() * sequences.length * sequences.structure_channels));
  return absl::OkStatus();
}

absl::Status CheckPart(const std::string& name, const char* part, const std::vector<int32_t>& rows,
                       std::span<const float> target) {
  if (rows.size() < 2) {
    return OfExperiment(name, absl::StrCat("the ", part, " part has ", rows.size(), " scores; expected at least 2"));
  }
  for (const int32_t row : rows) {
    if (std::isinf(target[row]))
      return OfExperiment(name, absl::StrCat("the score of probe ", row + 1, " is infinite"));
  }
  return absl::OkStatus();
}

absl::Status CheckLabels(const std::string& name, const char* part, const std::vector<int32_t>& rows,
                         std::span<const float> target) {
  bool seen[2] = {false, false};
  for (const int32_t row : rows) {
    if (target[row] != 0.0f && target[row] != 1.0f) {
      return OfExperiment(name, absl::StrCat("the label of probe ", row + 1, " is ", target[row], "; expected 0 or 1"));
    }
    seen[target[row] == 1.0f] = true;
  }
  if (seen[0] && seen[1]) return absl::OkStatus();
  return OfExperiment(name, absl::StrCat("the ", part, " part has labels of one class only; expected both"));
}

absl::StatusOr<Transform> FitJobTransform(const TrainConfig& config, const TrainJob& job, const Dataset& dataset) {
  Transform transform;
  transform.kind = TransformKind::kNone;
  // Labels stay labels; transformed scores are not transformed again.
  if (dataset.transformed || config.shape.classification || config.transform == TransformKind::kNone) return transform;
  const std::span<const float> target = dataset.target(job.experiment);
  std::vector<float> train;
  for (const int32_t row : job.train_rows) train.push_back(target[row]);
  const std::span<const float> all = config.preset == Preset::kPublished ? std::span<const float>(train) : target;
  auto fitted = FitTransform(config.transform, config.preset, all, train);
  if (fitted.ok()) return fitted;
  return OfExperiment(job.model.experiment, std::string(fitted.status().message()));
}

absl::StatusOr<TrainJob> MakeJob(const PlannedModel& planned, const Dataset& dataset, const Split& split) {
  const TrainConfig& config = planned.config;
  const std::string& name = planned.experiment;
  TrainJob job;
  job.experiment = dataset.Find(name);
  if (job.experiment < 0) {
    return absl::NotFoundError(absl::StrCat("experiment '", name, "' is not in the data set, which has ",
                                            dataset.experiments.size(), " experiments"));
  }
  const std::span<const float> target = dataset.target(job.experiment);
  job.train_rows = PresentRows(split.train, target);
  job.valid_rows = PresentRows(split.valid, target);
  job.model.config = config;
  job.model.experiment = name;
  job.model.max_probes = split.max_probes;
  RB_RETURN_IF_ERROR(CheckPart(name, "training", job.train_rows, target));
  RB_RETURN_IF_ERROR(CheckPart(name, "validation", job.valid_rows, target));
  if (config.shape.classification) {
    RB_RETURN_IF_ERROR(CheckLabels(name, "training", job.train_rows, target));
    RB_RETURN_IF_ERROR(CheckLabels(name, "validation", job.valid_rows, target));
  }
  RB_ASSIGN_OR_RETURN(job.model.transform, FitJobTransform(config, job, dataset));
  RB_ASSIGN_OR_RETURN(job.valid_targets, TransformedTargets(job.model, dataset, job.experiment, job.valid_rows));
  const auto [low, high] = std::minmax_element(job.valid_targets.begin(), job.valid_targets.end());
  if (*low == *high) return OfExperiment(name, "all validation scores are equal, so that no correlation is defined");
  job.model.profile = NucleotideProfile(dataset.sequences, job.train_rows);
  return job;
}

// A folder below the output folder, and nowhere else.
absl::Status CheckModelFolder(const PlannedModel& planned) {
  const std::filesystem::path folder(planned.folder);
  bool good = !folder.empty() && folder.is_relative();
  for (const auto& part : folder) good &= part != ".." && part != "." && !part.empty();
  if (good) return absl::OkStatus();
  return OfExperiment(planned.experiment, absl::StrCat("its folder '", planned.folder, "' is no folder's name"));
}

absl::Status CheckSameSplit(const TrainConfig& first, const TrainConfig& config) {
  if (config.seed == first.seed && config.valid_fraction == first.valid_fraction) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("models of one run share the split, made of seed ", first.seed,
                                                 " and valid_fraction ", first.valid_fraction, "; one of them has ",
                                                 config.seed, " and ", config.valid_fraction));
}

}  // namespace

absl::StatusOr<std::vector<TrainJob>> MakeTrainJobs(const std::vector<PlannedModel>& models, const Dataset& dataset,
                                                    const Split& split) {
  if (models.empty()) return absl::InvalidArgumentError("no experiment to train on");
  std::vector<TrainJob> jobs;
  std::set<std::string> folders;
  // Replicates and points of a grid have their data in common.
  std::map<std::tuple<std::string, Preset, TransformKind, bool>, size_t> made;
  for (const PlannedModel& planned : models) {
    const TrainConfig& config = planned.config;
    RB_RETURN_IF_ERROR(CheckExperimentName(planned.experiment));
    RB_RETURN_IF_ERROR(CheckModelFolder(planned));
    RB_RETURN_IF_ERROR(ValidateConfig(config));
    RB_RETURN_IF_ERROR(CheckGeometry(config.shape, dataset.sequences));
    RB_RETURN_IF_ERROR(CheckSameSplit(models[0].config, config));
    if (!folders.insert(planned.folder).second) {
      return OfExperiment(planned.experiment, absl::StrCat("its folder '", planned.folder, "' is named twice"));
    }
    const auto [at, first] =
        made.insert({{planned.experiment, config.preset, config.transform, config.shape.classification}, jobs.size()});
    if (first) {
      RB_ASSIGN_OR_RETURN(jobs.emplace_back(), MakeJob(planned, dataset, split));
    } else {
      jobs.push_back(jobs[at->second]);
    }
    TrainJob& job = jobs.back();
    job.id = StableId(planned.experiment, config.replicate);
    job.model.config = config;
    job.model.structure_source = config.shape.structure > 0 ? dataset.sequences.TrackSource() : "";
  }
  return jobs;
}

absl::StatusOr<std::vector<float>> TrainTargets(const TrainJob& job, const Dataset& dataset) {
  RB_ASSIGN_OR_RETURN(const std::vector<float> values,
                      TransformedTargets(job.model, dataset, job.experiment, job.train_rows));
  std::vector<float> targets(static_cast<size_t>(dataset.num_probes()), 0.0f);
  for (size_t i = 0; i < values.size(); ++i) targets[job.train_rows[i]] = values[i];
  return targets;
}

// Hashes of hashes: no copy of the data is ever put together.
std::string SequencesFingerprint(const Dataset& dataset, int structure) {
  std::vector<float> made;
  const std::vector<float>& tracks = TracksFor(structure, dataset.sequences, made);
  return Sha256Hex(absl::StrCat(dataset.sequences.length, " ", structure, " ",
                                dataset.transformed ? "transformed" : "raw", " ",
                                Sha256OfValues(dataset.sequences.bases), " ", Sha256OfValues(tracks)));
}

std::string DataFingerprint(const std::string& sequences, const TrainJob& job, const Dataset& dataset) {
  const std::span<const float> target = dataset.target(job.experiment);
  const std::string_view bytes(reinterpret_cast<const char*>(target.data()), target.size_bytes());
  return Sha256Hex(absl::StrCat(sequences, "\n", job.model.experiment, " ", Sha256OfValues(job.train_rows), " ",
                                Sha256OfValues(job.valid_rows), " ", Sha256Hex(bytes)));
}

}  // namespace rb
