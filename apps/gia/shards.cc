#include "apps/gia/shards.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/json_integer.h"
#include "apps/common/outputs.h"
#include "engine/check.h"
#include "model/model_file.h"
#include "model/safetensors.h"

namespace rb::apps {
namespace {

constexpr char kPrefix[] = "gia-shard-", kSuffix[] = ".safetensors", kKind[] = "gia-shard 1";

// The texts of a part, by their names in the file.
constexpr std::pair<const char*, std::string GiaPart::*> kTexts[] = {
    {"effects", &GiaPart::effects},   {"lines", &GiaPart::lines},     {"ratios", &GiaPart::ratios},
    {"measured", &GiaPart::measured}, {"pairing", &GiaPart::pairing}, {"kmers", &GiaPart::kmers},
    {"summary", &GiaPart::summary},
};

absl::Status Fault(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what, "; expected a file that `gia --shard` wrote"));
}

// What a part is made of beside its texts and values.
nlohmann::json Describe(int64_t index, const GiaPart& part) {
  nlohmann::json local = nlohmann::json::array();
  for (const LocalEffects& of : part.local) local.push_back({{"experiment", of.experiment}, {"labels", of.labels}});
  nlohmann::json answers = nlohmann::json::array();
  for (const AnswerRow& row : part.answers) {
    answers.push_back({row.experiment, row.kind, row.label, row.pattern});
  }
  return {{"index", index},      {"model", part.model},       {"trained_on", part.trained_on},
          {"nulls", part.nulls}, {"position", part.position}, {"local", local},
          {"answers", answers}};
}

absl::StatusOr<std::pair<int64_t, GiaPart>> ParsePart(const nlohmann::json& json, const SafeTensors& file,
                                                      size_t number, const std::string& path) {
  GiaPart part;
  int64_t index = 0;
  const absl::Status fault = Fault(path, absl::StrCat("part ", number, " is not described as it should be"));
  if (!GetInteger(json, "index", 0, &index) || !GetInteger(json, "nulls", 0, &part.nulls) ||
      !GetInteger(json, "position", 0, &part.position)) {
    return fault;
  }
  try {
    json.at("model").get_to(part.model);
    json.at("trained_on").get_to(part.trained_on);
    for (const nlohmann::json& of : json.at("answers")) {
      part.answers.push_back({of.at(0), of.at(1), of.at(2), of.at(3), 0, 0});
    }
    for (const nlohmann::json& of : json.at("local")) {
      part.local.push_back(
          {of.at("experiment").get<std::string>(), of.at("labels").get<std::vector<std::string>>(), {}});
    }
  } catch (const nlohmann::json::exception&) {
    return fault;
  }
  if (!CheckExperimentName(part.model).ok()) {
    return Fault(path, absl::StrCat("part ", number, " has a model's name that cannot be a file's"));
  }
  for (const auto& [name, text] : kTexts) {
    const NamedTensor* const tensor = file.Find(absl::StrCat(number, ".", name));
    if (tensor == nullptr || tensor->dtype != "U8") return Fault(path, absl::StrCat("part ", number, " has no ", name));
    part.*text = tensor->bytes;
  }
  const NamedTensor* const moments = file.Find(absl::StrCat(number, ".answers"));
  const NamedTensor* const kmers = file.Find(absl::StrCat(number, ".kmer_means"));
  const std::vector<int64_t> rows = {std::ssize(part.answers), 2};
  if (moments == nullptr || moments->dtype != "F64" || moments->shape != rows || kmers == nullptr ||
      kmers->dtype != "F64") {
    return Fault(path, absl::StrCat("part ", number, " lacks its answers"));
  }
  const std::vector<double> values = ValuesF64(*moments);
  for (size_t i = 0; i < part.answers.size(); ++i) {
    part.answers[i].mean = values[2 * i], part.answers[i].sd = values[2 * i + 1];
  }
  part.kmer_means = ValuesF64(*kmers);
  for (size_t i = 0; i < part.local.size(); ++i) {
    LocalEffects& of = part.local[i];
    const NamedTensor* const tensor = file.Find(absl::StrCat(number, ".local.", i));
    const std::vector<int64_t> shape = {std::ssize(of.labels), part.nulls};
    if (tensor == nullptr || tensor->dtype != "F32" || tensor->shape != shape) {
      return Fault(path, absl::StrCat("part ", number, " lacks the local effects of ", of.experiment));
    }
    of.values = ValuesF32(*tensor);
  }
  return std::pair(index, std::move(part));
}

absl::StatusOr<GiaShard> ReadShard(const std::string& path) {
  RB_ASSIGN_OR_RETURN(const SafeTensors file, ReadSafeTensors(path));
  const auto metadata = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  GiaShard shard;
  if (metadata("kind") != kKind || metadata(kChecksumKey).empty() || metadata(kHeaderChecksumKey).empty() ||
      !absl::SimpleAtoi(metadata("shard"), &shard.shard.index) ||
      !absl::SimpleAtoi(metadata("of"), &shard.shard.count) || !absl::SimpleAtoi(metadata("models"), &shard.models) ||
      !absl::SimpleAtoi(metadata("top"), &shard.tables.top)) {
    return Fault(path, "not a shard of a gia run");
  }
  const Shard& s = shard.shard;
  if (s.count < 1 || s.count > kMaxShards || s.index < 0 || s.index >= s.count || shard.models < 1) {
    return Fault(path,
                 absl::StrCat("it says to be shard ", s.index, " of ", s.count, ", of ", shard.models, " models"));
  }
  shard.tables.dna = metadata("alphabet") == "dna";
  shard.settings = metadata("settings");
  const nlohmann::json parts = nlohmann::json::parse(metadata("parts"), nullptr, false);
  if (!parts.is_array()) return Fault(path, "its list of parts cannot be read");
  for (size_t i = 0; i < parts.size(); ++i) {
    RB_ASSIGN_OR_RETURN(shard.parts.emplace_back(), ParsePart(parts[i], file, i, path));
  }
  return shard;
}

std::vector<std::string> ShardFiles(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix) && entry.is_regular_file(error))
      paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

std::string GiaShardPath(const std::string& folder, const Shard& shard) {
  return JoinPath(folder, absl::StrCat(kPrefix, shard.Name(), kSuffix));
}

absl::Status WriteGiaShard(const std::string& folder, const GiaShard& shard) {
  SafeTensors file;
  nlohmann::json parts = nlohmann::json::array();
  for (const auto& [index, part] : shard.parts) {
    const size_t number = parts.size();
    parts.push_back(Describe(index, part));
    for (const auto& [name, text] : kTexts) {
      file.tensors.push_back({absl::StrCat(number, ".", name), "U8", {std::ssize(part.*text)}, part.*text});
    }
    std::vector<double> moments;
    for (const AnswerRow& row : part.answers) moments.insert(moments.end(), {row.mean, row.sd});
    file.tensors.push_back(TensorF64(absl::StrCat(number, ".answers"), {std::ssize(part.answers), 2}, moments));
    file.tensors.push_back(
        TensorF64(absl::StrCat(number, ".kmer_means"), {std::ssize(part.kmer_means)}, part.kmer_means));
    for (size_t i = 0; i < part.local.size(); ++i) {
      const LocalEffects& of = part.local[i];
      file.tensors.push_back(
          TensorF32(absl::StrCat(number, ".local.", i), {std::ssize(of.labels), part.nulls}, of.values));
    }
  }
  file.metadata = {{"kind", kKind},
                   {"shard", absl::StrCat(shard.shard.index)},
                   {"of", absl::StrCat(shard.shard.count)},
                   {"models", absl::StrCat(shard.models)},
                   {"top", absl::StrCat(shard.tables.top)},
                   {"alphabet", shard.tables.dna ? "dna" : "rna"},
                   {"settings", shard.settings},
                   {"parts", parts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)}};
  return WriteSafeTensors(file, GiaShardPath(folder, shard.shard));
}

absl::StatusOr<GiaParts> ReadGiaShards(const std::string& folder) {
  const std::vector<std::string> paths = ShardFiles(folder);
  if (paths.empty()) {
    return absl::NotFoundError(absl::StrCat(folder, ": no shard there; expected ", kPrefix, "0-of-N", kSuffix,
                                            " and the others, as `gia .. --shard I/N --out ", folder, "` writes them"));
  }
  std::optional<GiaShard> first;
  std::set<int64_t> seen;
  std::map<int64_t, GiaPart> parts;
  for (const std::string& path : paths) {
    RB_ASSIGN_OR_RETURN(GiaShard shard, ReadShard(path));
    if (!first.has_value()) first = GiaShard{shard.shard, shard.models, shard.tables, shard.settings, {}};
    if (shard.shard.count != first->shard.count || shard.models != first->models || shard.settings != first->settings) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": is of another run than ", paths[0],
                       " (models, flags, precision or version differ); expected shards of one run, or another folder"));
    }
    if (!seen.insert(shard.shard.index).second) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": shard ", shard.shard.index, " is there twice; expected one file of each"));
    }
    for (auto& [index, part] : shard.parts) {
      if (index < 0 || index >= shard.models || !shard.shard.Has(index)) {
        return Fault(path, absl::StrCat("model ", index, " does not belong to its shard"));
      }
      if (!parts.try_emplace(index, std::move(part)).second) {
        return Fault(path, absl::StrCat("model ", index, " is there twice"));
      }
    }
  }
  std::vector<std::string> missing;
  for (int64_t i = 0; i < first->shard.count && missing.size() < 10; ++i) {
    if (!seen.contains(i)) missing.push_back(absl::StrCat(i));
  }
  if (!missing.empty()) {
    return absl::NotFoundError(absl::StrCat(folder, ": shard ", absl::StrJoin(missing, ", "), " of ",
                                            first->shard.count, " is missing; expected it to be run again"));
  }
  if (std::ssize(parts) != first->models) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": the shards have ", parts.size(), " of ", first->models, " models; expected all"));
  }
  GiaParts all;
  all.tables = first->tables;
  for (auto& [index, part] : parts) all.parts.push_back(std::move(part));
  return all;
}

}  // namespace rb::apps
