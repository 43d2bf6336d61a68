// Tables of ism, fold, train and evaluate.
#include "apps/plot/sources.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "apps/plot/table.h"
#include "data/alphabet.h"
#include "data/line_reader.h"
#include "engine/check.h"
#include "gia/iupac.h"

namespace rb::plot {
namespace {

constexpr double kMostPositions = 2000;  // of a sequence in a picture

// The rows of one sequence by its name.
absl::StatusOr<Table> OfSequence(const std::string& path, const std::string& sequence) {
  RB_ASSIGN_OR_RETURN(const Table table, Table::Read(path));
  RB_ASSIGN_OR_RETURN(const auto names, table.Texts("name"));
  if (names.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": has no rows; expected a sequence's"));
  const std::string& name = sequence.empty() ? names[0] : sequence;
  std::vector<bool> keep;
  for (const std::string& cell : names) keep.push_back(cell == name);
  const auto kept = std::count(keep.begin(), keep.end(), true);
  if (kept == 0) {
    return absl::NotFoundError(
        absl::StrCat(path, ": has no sequence ", Quoted(name), "; expected one of ", names[0], ", .."));
  }
  if (sequence.empty() && kept < std::ssize(keep)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has several sequences; expected --sequence, for example ", names[0]));
  }
  return table.Only(keep);
}

// Whole positions from `first` on, each below kMostPositions.
absl::StatusOr<std::vector<int>> Positions(const Table& table, int first) {
  RB_ASSIGN_OR_RETURN(const std::vector<double> numbers, table.Numbers("position"));
  std::vector<int> positions;
  for (const double v : numbers) {
    if (!(v >= first && v < kMostPositions) || v != std::floor(v)) {
      return absl::InvalidArgumentError(absl::StrCat(
          table.path(), ": has position ", v, "; expected whole numbers from ", first, " to ", kMostPositions - 1));
    }
    positions.push_back(static_cast<int>(v) - first);
  }
  return positions;
}

absl::Status SetLetter(const Table& table, const std::string& cell, int position, std::string* letters) {
  const uint8_t code = cell.size() == 1 ? BaseCode(cell[0]) : kBadBase;
  if (code == kBadBase) {
    return absl::InvalidArgumentError(
        absl::StrCat(table.path(), ": found the letter ", Quoted(cell), "; expected ", AlphabetName(false)));
  }
  if (letters->size() <= static_cast<size_t>(position)) letters->resize(static_cast<size_t>(position) + 1, 'N');
  (*letters)[static_cast<size_t>(position)] = kBaseLetters[code];
  return absl::OkStatus();
}

bool Carries(const std::string& sequence, const std::string& motif) {
  for (size_t start = 0; start + motif.size() <= sequence.size(); ++start) {
    size_t i = 0;
    for (; i < motif.size(); ++i) {
      const int code = BaseCode(sequence[start + i]);
      if (code >= 4 || (IupacMask(motif[i]) >> code & 1) == 0) break;
    }
    if (i == motif.size()) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<MapData> LoadMap(const std::string& path, const std::string& sequence, const std::string& structure) {
  RB_ASSIGN_OR_RETURN(const Table table, OfSequence(path, sequence));
  MapData data;
  data.gradient = table.Has("gradient");
  data.title = data.gradient ? "gradient" : "effect";
  RB_ASSIGN_OR_RETURN(const std::vector<int> positions, Positions(table, 0));
  RB_ASSIGN_OR_RETURN(const auto wild, table.Texts("wild"));
  RB_ASSIGN_OR_RETURN(const auto letters, table.Texts("letter"));
  RB_ASSIGN_OR_RETURN(const auto values, table.Numbers(data.gradient ? "gradient" : "effect"));
  for (size_t i = 0; i < wild.size(); ++i) {
    const auto at = static_cast<size_t>(positions[i]);
    RB_RETURN_IF_ERROR(SetLetter(table, wild[i], positions[i], &data.letters));
    std::string other;
    RB_RETURN_IF_ERROR(SetLetter(table, letters[i], 0, &other));
    data.effects.resize(data.letters.size(), {kNone, kNone, kNone, kNone});
    if (BaseCode(other[0]) < 4) data.effects[at][BaseCode(other[0])] = values[i];
  }
  if (structure.empty()) return data;
  RB_ASSIGN_OR_RETURN(const auto names, table.Texts("name"));
  RB_ASSIGN_OR_RETURN(const FoldData fold, LoadFold(structure, names[0]));
  data.structure = fold.profiles;
  // Unknown letters at the end have no rows in the one table.
  if (fold.letters.size() > data.letters.size()) {
    data.letters.resize(fold.letters.size(), 'N');
    data.effects.resize(fold.letters.size(), {kNone, kNone, kNone, kNone});
  }
  if (fold.letters != data.letters) {
    return absl::InvalidArgumentError(absl::StrCat(structure, ": sequence ", Quoted(names[0]),
                                                   " has other letters than in ", path, "; expected the same"));
  }
  return data;
}

absl::StatusOr<FoldData> LoadFold(const std::string& path, const std::string& sequence) {
  RB_ASSIGN_OR_RETURN(const Table table, OfSequence(path, sequence));
  RB_ASSIGN_OR_RETURN(const std::vector<int> positions, Positions(table, 1));
  RB_ASSIGN_OR_RETURN(const auto bases, table.Texts("base"));
  std::vector<std::vector<double>> columns;
  for (const char* name : {"paired", "hairpin", "internal", "multi", "external"}) {
    RB_ASSIGN_OR_RETURN(columns.emplace_back(), table.Numbers(name));
  }
  FoldData data;
  for (size_t i = 0; i < bases.size(); ++i) {
    RB_RETURN_IF_ERROR(SetLetter(table, bases[i], positions[i], &data.letters));
    double sum = 0;  // NaN where one is missing: there is a gap then
    for (const auto& column : columns) sum += column[i] < 0 ? 2 : column[i];
    if (std::abs(sum - 1) > 0.01) {
      return absl::InvalidArgumentError(
          absl::StrCat(table.path(), ": position ", positions[i] + 1,
                       " has no probabilities of paired, hairpin, internal, multi and external; expected a sum of 1"));
    }
    data.profiles.resize(data.letters.size(), std::vector<double>(columns.size(), kNone));
    for (size_t c = 0; c < columns.size(); ++c) data.profiles[static_cast<size_t>(positions[i])][c] = columns[c][i];
  }
  return data;
}

absl::StatusOr<HistoryData> LoadHistory(const std::string& path) {
  RB_ASSIGN_OR_RETURN(const Table table, Table::Read(path));
  HistoryData data;
  const bool auroc = table.Has("valid_auroc");
  data.metric = auroc ? "AUROC" : "Pearson";
  data.name = std::filesystem::path(path).parent_path().filename().string();
  if (data.name.empty() || data.name == ".") data.name = std::filesystem::path(path).stem().string();
  RB_ASSIGN_OR_RETURN(data.epochs, table.Numbers("epoch"));
  RB_ASSIGN_OR_RETURN(data.rates, table.Numbers("learning_rate"));
  RB_ASSIGN_OR_RETURN(data.train_losses, table.Numbers("train_loss"));
  RB_ASSIGN_OR_RETURN(data.valid_losses, table.Numbers("valid_loss"));
  RB_ASSIGN_OR_RETURN(data.metrics, table.Numbers(auroc ? "valid_auroc" : "valid_pearson"));
  return data;
}

absl::StatusOr<ScatterData> LoadScatter(const std::string& path, const std::string& x, const std::string& y,
                                        const std::string& motif, const std::string& experiment,
                                        const std::string& model) {
  RB_ASSIGN_OR_RETURN(Table table, Table::Read(path));
  for (const auto& [column, name] : {std::pair("experiment", &experiment), std::pair("model", &model)}) {
    if (!name->empty() || (table.Has(column) && table.rows() > 0)) {
      RB_ASSIGN_OR_RETURN(table, table.Of(column, *name));
    }
  }
  ScatterData data;
  data.x_title = x, data.y_title = y;
  RB_ASSIGN_OR_RETURN(data.x, table.Numbers(x));
  RB_ASSIGN_OR_RETURN(data.y, table.Numbers(y));
  if (motif.empty()) return data;
  const std::string letters = absl::AsciiStrToUpper(motif);
  for (const char letter : letters) {
    if (IupacMask(letter) != 0) continue;
    return absl::InvalidArgumentError(absl::StrCat("--motif ", motif, ": ", Quoted(std::string(1, letter)),
                                                   " is no letter; expected ", std::string(kIupacExpected)));
  }
  RB_ASSIGN_OR_RETURN(const auto sequences, table.Texts("sequence"));
  for (const std::string& sequence : sequences) data.marked.push_back(Carries(sequence, letters));
  data.marked_name = letters;
  return data;
}

}  // namespace rb::plot
