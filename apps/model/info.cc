// residualbind model info: what a model file holds.
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "apps/model/commands.h"
#include "data/sha256.h"
#include "engine/check.h"
#include "model/model_file.h"

namespace rb::apps {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::string file;
  bool json = false;
};

// Numbers fitted to the data.
int64_t ParametersOf(const Baseline& b) { return std::ssize(b.weights) + (b.kind == ModelKind::kKmer ? 1 : 2); }

Json ShapeJson(const Shape& s) {
  return {{"length", s.length},
          {"structure_channels", s.structure},
          {"filters", s.filters},
          {"first_width", s.first_width},
          {"width", s.width},
          {"dilations", std::vector<int>(s.dilations, s.dilations + s.residual_layers)},
          {"pool", s.pool},
          {"hidden", s.hidden},
          {"dropout",
           {{"first", s.dropout_first},
            {"inner", s.dropout_inner},
            {"before_pool", s.dropout_before_pool},
            {"after_pool", s.dropout_after_pool},
            {"dense", s.dropout_dense}}},
          {"task", s.classification ? "classification" : "regression"}};
}

Json TransformJson(const Transform& t) {
  return {{"kind", std::string(TransformName(t.kind))},
          {"minimum", t.minimum},
          {"clip", t.clip},
          {"mean", t.mean},
          {"sd", t.sd}};
}

Json BaselineJson(const Flags& flags, const ModelFile& model, const std::string& sum) {
  const Baseline& b = model.baseline;
  const TrainConfig& c = model.config;
  Json json = {{"file", flags.file},
               {"sha256", sum},
               {"model", std::string(ModelKindName(b.kind))},
               {"experiment", model.experiment},
               {"preset", std::string(PresetName(c.preset))},
               {"seed", c.seed},
               {"valid_fraction", c.valid_fraction},
               {"max_probes", model.max_probes},
               {"best_metric", model.best_metric},
               {"transform", TransformJson(model.transform)},
               {"length", c.shape.length},
               {"k", b.k}};
  if (b.kind == ModelKind::kKmer) {
    json["penalty"] = b.penalty;
  } else {
    json["top"] = b.top;
    json["scan"] = std::string(WindowScanName(b.scan));
    json["width"] = b.width();
    json["log_odds"] = b.weights;
  }
  json["intercept"] = b.intercept;
  json["slope"] = b.slope;
  json["parameters"] = ParametersOf(b);
  json["extra"] = model.extra;
  return json;
}

Json ModelJson(const Flags& flags, const ModelFile& model, const ParameterTable& table, const std::string& sum) {
  Json tensors = Json::array();
  for (const TensorSpec& tensor : table.tensors()) {
    tensors.push_back({{"name", tensor.name}, {"shape", tensor.shape}, {"trained", tensor.trained}});
  }
  const TrainConfig& c = model.config;
  return {{"file", flags.file},
          {"sha256", sum},
          {"model", std::string(ModelKindName(model.baseline.kind))},
          {"experiment", model.experiment},
          {"preset", std::string(PresetName(c.preset))},
          {"seed", c.seed},
          {"replicate", c.replicate},
          {"valid_fraction", c.valid_fraction},
          {"max_probes", model.max_probes},
          {"batch", c.batch},
          {"epochs", model.epochs},
          {"best_epoch", model.best_epoch},
          {"best_metric", model.best_metric},
          {"transform", TransformJson(model.transform)},
          {"shape", ShapeJson(c.shape)},
          {"structure_source", model.structure_source},
          {"parameters", table.count()},
          {"trained_parameters", table.trained_count()},
          {"extra", model.extra},
          {"tensors", tensors}};
}

std::string TransformText(const Transform& t) {
  if (t.kind == TransformKind::kNone) return "none";
  const std::string first =
      t.kind == TransformKind::kLog ? absl::StrCat("minimum ", t.minimum) : absl::StrCat("clip ", t.clip);
  return absl::StrCat(std::string(TransformName(t.kind)), " (", first, ", mean ", t.mean, ", sd ", t.sd, ")");
}

// Where training took a subset: a trial, not a result.
std::string SubsetText(const ModelFile& model) {
  return model.max_probes == 0 ? "" : absl::StrCat(", ", Grouped(model.max_probes), " of its training probes");
}

std::string BaselineInfo(const Flags& flags, const ModelFile& model, const std::string& sum) {
  const Baseline& b = model.baseline;
  return absl::StrCat(
      "file        ", flags.file, "\nsha256      ", sum, "\nexperiment  ", model.experiment, "\nmodel       ",
      BaselineText(b), "\npreset      ", std::string(PresetName(model.config.preset)), "\nseed        ",
      model.config.seed, SubsetText(model), "\nvalidation  Pearson ", Fixed(model.best_metric, 4), "\ntransform   ",
      TransformText(model.transform), "\ninput       ", model.config.shape.length,
      " positions, 4 channels\noutput      transformed binding score\nparameters  ", Grouped(ParametersOf(b)), "\n");
}

std::string ModelText(const Flags& flags, const ModelFile& model, const ParameterTable& table, const std::string& sum) {
  const TrainConfig& c = model.config;
  const Shape& s = c.shape;
  const std::string dilations = absl::StrJoin(s.dilations, s.dilations + s.residual_layers, ", ");
  return absl::StrCat(
      "file        ", flags.file, "\nsha256      ", sum, "\nexperiment  ", model.experiment, "\npreset      ",
      std::string(PresetName(c.preset)), "\nseed        ", c.seed, ", replicate ", c.replicate, SubsetText(model),
      "\nepochs      ", model.epochs, ", best ", model.best_epoch, " (validation ",
      s.classification ? "AUROC " : "Pearson ", Fixed(model.best_metric, 4), ")\ntransform   ",
      TransformText(model.transform), "\ninput       ", s.length, " positions, ", s.channels(), " channels",
      s.structure > 0
          ? absl::StrCat(" (", s.structure == 2 ? "PU" : "PHIME", " structure, ", model.structure_source, ")")
          : "",
      "\nlayer 1     convolution, ", s.filters, " filters of width ", s.first_width, "\nresidual    ",
      s.residual_layers, " convolutions of width ", s.width, ", dilations ", dilations, "\npooling     mean, size ",
      s.pool, "\ndense       ", s.hidden, " units\noutput      ",
      s.classification ? "probability" : "transformed binding score", "\nparameters  ", Grouped(table.count()), ", ",
      Grouped(table.trained_count()), " of them trained\n");
}

absl::Status Run(const Flags& flags) {
  RB_ASSIGN_OR_RETURN(const ModelFile model, ReadModel(flags.file));
  RB_ASSIGN_OR_RETURN(const std::string sum, Sha256OfFile(flags.file));
  std::string text;
  if (IsNetwork(model)) {
    const ParameterTable table(model.config.shape);
    text = flags.json ? DumpJson(ModelJson(flags, model, table, sum)) : ModelText(flags, model, table, sum);
  } else {
    text = flags.json ? DumpJson(BaselineJson(flags, model, sum)) : BaselineInfo(flags, model, sum);
  }
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

Action DefineModelInfo(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("file", flags->file, "model.safetensors")->required()->type_name("FILE");
  app.add_flag("--json", flags->json, "as JSON, tensors included");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
