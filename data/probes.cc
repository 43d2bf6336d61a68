// Shared pieces of the text readers.
#include "data/probes.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "data/alphabet.h"
#include "data/text.h"

namespace rb {
namespace {

// Levenshtein distance, letter case ignored.
int EditDistance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = std::exchange(row[0], static_cast<int>(i));
    for (size_t j = 1; j <= b.size(); ++j) {
      const int cost = absl::ascii_tolower(a[i - 1]) == absl::ascii_tolower(b[j - 1]) ? 0 : 1;
      const int best = std::min({row[j] + 1, row[j - 1] + 1, diagonal + cost});
      diagonal = std::exchange(row[j], best);
    }
  }
  return row[b.size()];
}

std::string NearestNames(std::string_view name, const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  std::vector<std::pair<int, size_t>> order;
  for (size_t i = 0; i < names.size(); ++i) order.emplace_back(EditDistance(name, names[i]), i);
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), kShown));
  return absl::StrJoin(order, ", ",
                       [&](std::string* out, const std::pair<int, size_t>& at) { Append(out, names[at.second]); });
}

}  // namespace

absl::Status CheckLength(const ReadOptions& options) {
  if (options.length >= 1 && options.length <= 65535) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Concat("sequence length ", options.length, " is out of range; expected 1 to 65535 positions"));
}

void PackCentred(const std::string& bases, int length, uint32_t* words) {
  std::vector<uint8_t> codes(static_cast<size_t>(length), kUnknownBase);
  const int left = LeftPadding(length, static_cast<int>(bases.size()));
  for (size_t i = 0; i < bases.size(); ++i) codes[static_cast<size_t>(left) + i] = BaseCode(bases[i]);
  PackBases(codes.data(), length, words);
}

absl::Status AppendProbe(std::string_view file, const Line& line, std::string_view field, const ReadOptions& options,
                         Sequences* sequences) {
  if (field.empty()) {
    return TextError(file, line.number, ColumnOf(line, field), "an empty sequence",
                     Concat("1 to ", options.length, " letters"));
  }
  for (size_t i = 0; i < field.size(); ++i) {
    if (BaseCode(field[i]) != kBadBase) continue;
    return TextError(file, line.number, ColumnOf(line, field) + static_cast<int64_t>(i),
                     Concat("the letter ", Quoted(field.substr(i, 1)), " in a sequence"),
                     AlphabetName(options.dna_alphabet));
  }
  if (field.size() > static_cast<size_t>(options.length)) {
    return TextError(file, line.number, ColumnOf(line, field), Concat("a sequence of ", field.size(), " letters"),
                     Concat("1 to ", options.length));
  }
  sequences->AppendCentred(std::string(field));
  return absl::OkStatus();
}

absl::Status AppendFold(std::string_view file, const Line& line, std::string_view field, std::vector<Fold>* folds) {
  if (field != "A" && field != "B") {
    return TextError(file, line.number, ColumnOf(line, field), Concat("probe set ", Quoted(field)), "A or B");
  }
  folds->push_back(field == "A" ? Fold::kA : Fold::kB);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int>> ChooseExperiments(std::string_view source, const std::vector<std::string>& names,
                                                   const std::vector<std::string>& wanted) {
  std::vector<int> chosen;
  if (wanted.empty()) {
    chosen.resize(names.size());
    std::iota(chosen.begin(), chosen.end(), 0);
    return chosen;
  }
  std::unordered_map<std::string_view, int> index;
  for (size_t i = 0; i < names.size(); ++i) index.emplace(names[i], static_cast<int>(i));
  std::unordered_set<int> taken;
  for (const std::string& name : wanted) {
    const auto at = index.find(name);
    if (at == index.end()) {
      return absl::NotFoundError(Concat(source, ": found no experiment ", Quoted(name), "; expected one of ",
                                        names.size(), ", the nearest are ", NearestNames(name, names)));
    }
    if (taken.insert(at->second).second) chosen.push_back(at->second);
  }
  return chosen;
}

int64_t FindEmptyExperiment(const Dataset& dataset) {
  for (size_t e = 0; e < dataset.experiments.size(); ++e) {
    const std::span<const float> target = dataset.target(static_cast<int64_t>(e));
    if (std::all_of(target.begin(), target.end(), [](float y) { return std::isnan(y); })) {
      return static_cast<int64_t>(e);
    }
  }
  return -1;
}

std::string ExperimentName(const std::string& path) {
  if (path == "-") return "stdin";
  std::filesystem::path name = std::filesystem::path(path).filename();
  if (name.extension() == ".gz" || name.extension() == ".xz") name = name.stem();
  return name.stem().string();
}

}  // namespace rb
