// Model files: safetensors (https://huggingface.co/docs/safetensors), so that any Python reader opens them, with all
// that is needed to use a model in the metadata.
#ifndef RB_MODEL_MODEL_FILE_H_
#define RB_MODEL_MODEL_FILE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/baseline.h"
#include "model/config.h"
#include "model/parameter_table.h"
#include "model/safetensors.h"

namespace rb {

// A trained (or initialised) model on the host.
struct ModelFile {
  TrainConfig config;  // shape included
  // What it is when it is no network; then of `config` preset, seed, replicate, valid_fraction, transform and length
  // count and the rest has its defaults, and there are no parameters, epochs and structure.
  Baseline baseline;
  std::string experiment;
  Transform transform;  // constants of the target transform
  // [length][4] nucleotide frequencies of the training probes (GIA's null model); may be empty.
  std::vector<float> profile;
  int64_t max_probes = 0;  // training took a seeded subset of so many of the training part; 0: all of it
  // Of a network with structure: what made its tracks (Sequences::structure_source). Empty without.
  std::string structure_source;
  std::vector<float> parameters;  // ParameterTable(config.shape).storage() values
  int epochs = 0, best_epoch = 0;
  double best_metric = 0;                    // validation Pearson, or AUROC for classification
  std::map<std::string, std::string> extra;  // further metadata, kept as it is; no name of ours
};

inline bool IsNetwork(const ModelFile& model) { return model.baseline.kind == ModelKind::kNetwork; }
// FailedPrecondition for any other model: "WHAT is for networks; this is a kmer model".
absl::Status RequireNetwork(const ModelFile& model, const std::string& what);

// Names of experiments become folders, files and JSON text: InvalidArgument for one that cannot.
absl::Status CheckExperimentName(const std::string& name);

// The container and back. ModelFromSafeTensors checks everything that is used: tensors' names, types and shapes against
// the parameter table, finite values, settings. `name` stands in messages.
SafeTensors ModelToSafeTensors(const ModelFile& model);
absl::StatusOr<ModelFile> ModelFromSafeTensors(const SafeTensors& content, const std::string& name);

absl::Status WriteModel(const ModelFile& model, const std::string& path);
// Truncated, foreign or inconsistent files: InvalidArgument naming the file and the fault.
absl::StatusOr<ModelFile> ReadModel(const std::string& path);

}  // namespace rb

#endif  // RB_MODEL_MODEL_FILE_H_
