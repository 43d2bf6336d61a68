// residualbind model export: a model as files of other programs.
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/run_record.h"
#include "apps/model/commands.h"
#include "data/writers.h"
#include "engine/check.h"
#include "gia/npz_writer.h"
#include "model/keras_file.h"
#include "model/onnx_writer.h"

namespace rb::apps {
namespace {

// A file whose bytes Content makes.
template <absl::StatusOr<std::string> (*Content)(const ModelFile&)>
absl::Status Write(const ModelFile& model, const std::string& path) {
  RB_ASSIGN_OR_RETURN(const std::string content, Content(model));
  return WriteFile(path, content);
}

// The tensors under the names of the model file, and its metadata as the text of a JSON object.
absl::Status WriteArrays(const ModelFile& model, const std::string& path) {
  const SafeTensors content = ModelToSafeTensors(model);
  const std::string metadata[] = {nlohmann::ordered_json(content.metadata).dump()};
  std::vector<std::vector<float>> values;
  for (const NamedTensor& tensor : content.tensors) values.push_back(ValuesF32(tensor));
  std::vector<NamedArray> arrays;
  for (size_t i = 0; i < values.size(); ++i) {
    arrays.push_back({content.tensors[i].name, content.tensors[i].shape, std::span<const float>(values[i])});
  }
  arrays.push_back({"metadata", {}, std::span<const std::string>(metadata)});
  return WriteNpz(path, arrays);
}

struct Format {
  const char* name;
  std::vector<const char*> extensions;
  absl::Status (*write)(const ModelFile& model, const std::string& path);
};
// Every format, a line each.
const Format kFormats[] = {
    {"onnx", {".onnx"}, Write<OnnxModel>},
    {"keras-h5", {".h5", ".hdf5"}, Write<KerasWeightsFile>},
    {"npz", {".npz"}, WriteArrays},
};

std::vector<std::string> FormatNames() {
  std::vector<std::string> names;
  for (const Format& format : kFormats) names.push_back(format.name);
  return names;
}

struct Flags {
  CommonFlags common;
  std::string file, format, out;
};

absl::StatusOr<const Format*> FormatOf(const Flags& flags) {
  std::vector<std::string> extensions;
  for (const Format& format : kFormats) {
    if (flags.format == format.name) return &format;
    for (const char* extension : format.extensions) {
      if (flags.format.empty() && absl::EndsWith(flags.out, extension)) return &format;
      extensions.push_back(extension);
    }
  }
  return UsageError(absl::StrCat("--out ", flags.out, ": its name tells no format; expected one that ends in ",
                                 absl::StrJoin(extensions, ", "), ", or --format"));
}

absl::Status Run(const Flags& flags) {
  RB_ASSIGN_OR_RETURN(const Format* const format, FormatOf(flags));
  RB_ASSIGN_OR_RETURN(const LoadedModel model, LoadModel(flags.file));
  RB_RETURN_IF_ERROR(RequireNetwork(model.file, "export"));
  RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  return format->write(model.file, flags.out);
}

}  // namespace

Action DefineModelExport(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("file", flags->file, "model.safetensors, or its folder")->required()->type_name("FILE");
  app.add_option("--format", flags->format,
                 absl::StrCat(absl::StrJoin(FormatNames(), ", "), " (default: told by --out's extension)"))
      ->check(CLI::IsMember(FormatNames()))
      ->type_name("NAME");
  app.add_option("--out", flags->out, "file to write")->required()->type_name("FILE");
  AddCommonFlags(app, flags->common, kOverwriteFlag);
  app.footer("Example:\n  residualbind model export models/SIM00001/model.safetensors --out weights.h5");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
