#include "apps/predict/table.h"

#include <algorithm>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "apps/common/text.h"
#include "engine/check.h"
#include "gia/statistics.h"
#include "model/keras_import.h"

namespace rb::apps {
namespace {

// What the numbers that a model predicts are.
std::string ScaleOf(const ModelFile& model) {
  const std::string preset(PresetName(model.config.preset));
  if (model.config.shape.classification) return absl::StrCat("classification, preset ", preset);
  const bool known = !model.extra.contains(kUnknownTransform);
  const std::string transform = known ? std::string(TransformName(model.transform.kind)) : "unknown";
  return absl::StrCat("regression, transform ", transform, ", preset ", preset);
}

}  // namespace

PredictColumns ColumnsOf(const std::vector<LoadedModel>& models, bool ensemble) {
  std::map<std::string, std::vector<size_t>> by_experiment;
  for (size_t m = 0; m < models.size(); ++m) by_experiment[models[m].file.experiment].push_back(m);
  PredictColumns columns;
  columns.ensemble = ensemble;
  for (size_t m = 0; m < models.size(); ++m) {
    const std::string& experiment = models[m].file.experiment;
    const std::vector<size_t>& same = by_experiment[experiment];
    if (ensemble && same.front() != m) continue;
    const bool named = !experiment.empty() && (ensemble || same.size() == 1);
    columns.names.push_back(named ? experiment : models[m].path);
    columns.members.push_back(ensemble ? same : std::vector<size_t>{m});
  }
  return columns;
}

absl::Status CheckMembers(const std::vector<LoadedModel>& models, const PredictColumns& columns) {
  for (const std::vector<size_t>& members : columns.members) {
    const LoadedModel& first = models[members.front()];
    for (const size_t m : members) {
      const std::string scale = ScaleOf(models[m].file), expected = ScaleOf(first.file);
      if (scale == expected) continue;
      return absl::FailedPreconditionError(absl::StrCat(models[m].path, " (", scale, ") and ", first.path, " (",
                                                        expected,
                                                        "): predict on different scales; expected models "
                                                        "of one task, transform and preset for --ensemble"));
    }
  }
  return absl::OkStatus();
}

absl::Status PredictTable::Header() {
  std::string text = windows_ == "all" ? "id\tstart" : "id";
  for (const std::string& name : columns_.names) {
    absl::StrAppend(&text, "\t", name, columns_.ensemble ? absl::StrCat("\t", name, "_sd") : "");
  }
  text += '\n';
  if (sink_.shard == nullptr) return Put(text);
  sink_.shard->header = text;
  return absl::OkStatus();
}

std::string PredictTable::Cells(const std::vector<float>& values) const {
  std::string text;
  for (const std::vector<size_t>& members : columns_.members) {
    if (!columns_.ensemble) {
      absl::StrAppend(&text, "\t", Shortest(values[members[0]]));
      continue;
    }
    std::vector<double> own;
    for (const size_t m : members) own.push_back(values[m]);
    absl::StrAppend(&text, "\t", Shortest(static_cast<float>(Mean(own))), "\t",
                    Shortest(static_cast<float>(SampleSd(own))));
  }
  return text + "\n";
}

absl::Status PredictTable::Windows(const std::string& id, const std::vector<std::vector<float>>& scores, int64_t begin,
                                   int64_t count, int64_t first) {
  if (windows_ == "all") {
    std::string text;
    std::vector<float> values(scores.size());
    for (int64_t w = 0; w < count; ++w) {
      for (size_t m = 0; m < scores.size(); ++m) values[m] = scores[m][static_cast<size_t>(begin + w)];
      absl::StrAppend(&text, id, "\t", first + w, Cells(values));
    }
    return Put(text);
  }
  if (first == 0) {
    best_.assign(scores.size(), -std::numeric_limits<float>::infinity());
    sum_.assign(scores.size(), 0.0);
  }
  for (size_t m = 0; m < scores.size(); ++m) {
    for (int64_t w = begin; w < begin + count; ++w) {
      best_[m] = std::max(best_[m], scores[m][static_cast<size_t>(w)]);
      sum_[m] += scores[m][static_cast<size_t>(w)];
    }
  }
  return absl::OkStatus();
}

absl::Status PredictTable::EndSequence(const std::string& id, int64_t windows) {
  if (windows_ != "all") {
    std::vector<float> values = best_;
    for (size_t m = 0; windows_ == "mean" && m < values.size(); ++m) {
      values[m] = static_cast<float>(sum_[m] / static_cast<double>(windows));
    }
    RB_RETURN_IF_ERROR(Put(id + Cells(values)));
  }
  if (sink_.shard != nullptr) sink_.shard->ends.push_back(std::ssize(sink_.shard->rows));
  return absl::OkStatus();
}

absl::Status PredictTable::Put(const std::string& text) {
  if (sink_.shard != nullptr) return sink_.shard->rows += text, absl::OkStatus();
  if (std::fwrite(text.data(), 1, text.size(), sink_.file) == text.size()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(sink_.name, ": cannot be written; expected room on the disk and an open pipe"));
}

}  // namespace rb::apps
