// One model's questions in `gia`: its null sequences, its k-mers, its experiments.
#ifndef RB_APPS_GIA_INTERVIEW_H_
#define RB_APPS_GIA_INTERVIEW_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/flags.h"
#include "apps/common/reporter.h"
#include "apps/gia/tables.h"
#include "data/dataset.h"
#include "data/split.h"
#include "gia/experiment.h"
#include "model/model_file.h"

namespace rb::apps {

struct GiaFlags {
  CommonFlags common;
  std::string experiment, data, out, motif, second, null = "profile", null_filter, shard;
  std::vector<std::string> models, embed;
  int k = 6, position = 17, second_position = 27, controls = 5, top = 20, min_n = 20;
  int64_t null_n = 1000;
  bool enumerate = false;

  // What may come to stand in tables, as far as it was given.
  std::vector<std::string> Texts() const {
    std::vector<std::string> texts = embed;
    for (const std::string& text : {motif, second, data, null_filter}) {
      if (!text.empty()) texts.push_back(text);
    }
    return texts;
  }
  bool all() const { return experiment == "all"; }
  bool scans() const { return all() || experiment == "kmer"; }
};

// What a model is asked: the experiments by name, `all` spelled out.
std::vector<std::string> AskedExperiments(const GiaFlags& flags);
// The settings with which they are made for a model of this length.
ExperimentSettings SettingsOf(const GiaFlags& flags, int length, const std::string& motif, uint64_t id);

// What models share: real sequences, the splits with which they were trained, a null file.
struct GiaInputs {
  std::optional<Dataset> dataset;
  std::optional<Sequences> file;

  absl::Status AddSplit(const ModelFile& model);       // of the data set
  const Split& SplitOf(const ModelFile& model) const;  // of a model whose split was added
  int64_t NullsOf(const GiaFlags& flags) const;        // null sequences that a model is asked with, before a filter

 private:
  using SplitKey = std::tuple<uint64_t, double, int64_t>;  // seed, valid_fraction, max_probes
  static SplitKey KeyOf(const ModelFile& model);
  std::map<SplitKey, Split> splits_;
};

// `name` is the model's in tables and messages.
absl::StatusOr<GiaAnswers> Interview(const GiaFlags& flags, const GiaInputs& inputs, const ModelFile& model,
                                     const std::string& name, OpenedMachine& machine, Reporter& reporter);

}  // namespace rb::apps

#endif  // RB_APPS_GIA_INTERVIEW_H_
