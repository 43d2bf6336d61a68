#include "data/fold_energies_reader.h"

#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "data/alphabet.h"
#include "data/dataset.h"
#include "data/line_reader.h"
#include "data/sha256.h"
#include "data/text.h"
#include "data/text_value.h"

namespace rb {
namespace {

constexpr char kEnergiesPrefix[] = "energies-";
constexpr size_t kHashDigits = 16;

// A table of the file. `kinds`: p pair types, b bases, n lengths, 1 a single value, a asymmetries by inner branch (the
// third is taken).
struct Table {
  std::string_view name, kinds;
  int32_t* values;  // where those taken go, in order
};

std::vector<Table> Tables(FoldEnergies* e) {
  return {{"stack37", "pp", &e->stack[0][0]},
          {"hairpin37", "n", e->hairpin},
          {"bulge37", "n", e->bulge},
          {"internal_loop37", "n", e->interior},
          {"mismatchI37", "pbb", &e->mismatch_interior[0][0][0]},
          {"mismatchH37", "pbb", &e->mismatch_hairpin[0][0][0]},
          {"dangle5_37", "pb", &e->dangle5[0][0]},
          {"dangle3_37", "pb", &e->dangle3[0][0]},
          {"int11_37", "ppbb", &e->int11[0][0][0][0]},
          {"int21_37", "ppbbb", &e->int21[0][0][0][0][0]},
          {"int22_37", "ppbbbb", &e->int22[0][0][0][0][0][0]},
          {"ML_BASE37", "1", &e->multi_base},
          {"ML_closing37", "1", &e->multi_closing},
          {"ML_intern37", "1", &e->multi_stem},
          {"TerminalAU", "1", &e->terminal_au},
          {"MAX_NINIO", "1", &e->max_asymmetry},
          {"F_ninio37", "a", &e->asymmetry}};
}
constexpr std::string_view kTetraloopTable = "tetraloop_bonus", kLongLoopTable = "lxc37";

int Entries(char kind) { return kind == 'p' ? kPairTypes + 2 : kind == 'n' ? kMaxLoop + 1 : kind == '1' ? 1 : 5; }
int EntriesTaken(char kind) { return kind == 'p' ? kPairTypes : kind == 'a' ? 1 : Entries(kind); }
bool Taken(char kind, int index) {
  return kind == 'p' ? index >= 1 && index <= kPairTypes : kind == 'a' ? index == 2 : true;
}

// A line cut into fields, with errors at their places.
class Fields {
 public:
  Fields(std::string_view file, const Line& line) : file_(file), line_(line), fields_(SplitBlanks(line.text)) {}

  size_t size() const { return fields_.size(); }
  std::string_view operator[](size_t i) const { return fields_[i]; }
  absl::Status Error(size_t i, std::string_view found, std::string_view expected) const {
    const int64_t end = static_cast<int64_t>(line_.text.size()) + 1;
    return TextError(file_, line_.number, i < size() ? ColumnOf(line_, fields_[i]) : end, found, expected);
  }
  absl::Status CheckCount(size_t expected) const {
    if (size() == expected) return absl::OkStatus();
    return Error(expected, Concat(size(), " fields"), Concat(expected, " for ", fields_[0]));
  }
  // Field i as an energy or a dimension.
  absl::Status Integer(size_t i, int32_t* value) const {
    if (i < size() && absl::SimpleAtoi(AbslView(fields_[i]), value) && std::abs(*value) <= kForbiddenEnergy) {
      return absl::OkStatus();
    }
    return Error(i, i < size() ? Quoted(fields_[i]) : "the line's end", "a whole number from -1000000 to 1000000");
  }

 private:
  std::string_view file_;
  const Line& line_;
  std::vector<std::string_view> fields_;
};

absl::Status CheckDimensions(const Fields& fields, const Table& table) {
  std::vector<int32_t> expected = {static_cast<int32_t>(table.kinds.size())};
  for (const char kind : table.kinds) expected.push_back(Entries(kind));
  for (size_t i = 0; i < expected.size(); ++i) {
    int32_t value = 0;
    if (auto status = fields.Integer(i + 1, &value); !status.ok()) return status;
    if (value != expected[i]) {
      return fields.Error(i + 1, Concat(value),
                          Concat(expected[i], i == 0 ? " dimensions" : " entries", " of ", table.name));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadTable(const Fields& fields, const Table& table) {
  if (auto status = CheckDimensions(fields, table); !status.ok()) return status;
  const size_t first = 2 + table.kinds.size();
  size_t count = 1;
  for (const char kind : table.kinds) count *= Entries(kind);
  if (auto status = fields.CheckCount(first + count); !status.ok()) return status;
  int32_t* to = table.values;
  for (size_t i = 0; i < count; ++i) {
    int32_t value = 0;
    if (auto status = fields.Integer(first + i, &value); !status.ok()) return status;
    bool taken = true;
    size_t rest = i;
    for (size_t d = table.kinds.size(); d-- > 0; rest /= Entries(table.kinds[d])) {
      taken &= Taken(table.kinds[d], static_cast<int>(rest % Entries(table.kinds[d])));
    }
    if (taken) *to++ = value;
  }
  return absl::OkStatus();
}

absl::Status ReadTetraloops(const Fields& fields, FoldEnergies* energies) {
  int32_t count = 0;
  if (auto status = fields.Integer(1, &count); !status.ok()) return status;
  if (count < 0 || count > kMaxTetraloops) {
    return fields.Error(1, Concat(count, " tetraloops"), Concat("0 to ", kMaxTetraloops));
  }
  if (auto status = fields.CheckCount(2 + 2 * static_cast<size_t>(count)); !status.ok()) return status;
  energies->num_tetraloops = count;
  for (int t = 0; t < count; ++t) {
    FoldEnergies::Tetraloop& loop = energies->tetraloops[t];
    const std::string_view word = fields[2 + 2 * t];
    bool known = word.size() == 6;
    for (size_t i = 0; known && i < 6; ++i) {
      loop.codes[i] = BaseCode(word[i]);
      known = loop.codes[i] < kUnknownBase;
    }
    if (!known) return fields.Error(2 + 2 * t, Quoted(word), "six letters of A, C, G, U");
    if (auto status = fields.Integer(3 + 2 * t, &loop.bonus); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadLongLoop(const Fields& fields, FoldEnergies* energies) {
  if (auto status = fields.CheckCount(2); !status.ok()) return status;
  if (absl::SimpleAtod(AbslView(fields[1]), &energies->long_loop) && std::isfinite(energies->long_loop)) {
    return absl::OkStatus();
  }
  return fields.Error(1, Quoted(fields[1]), "a finite number");
}

absl::Status ReadLine(const Fields& fields, FoldEnergies* energies) {
  if (fields[0] == kTetraloopTable) return ReadTetraloops(fields, energies);
  if (fields[0] == kLongLoopTable) return ReadLongLoop(fields, energies);
  for (const Table& table : Tables(energies)) {
    if (fields[0] == table.name) return ReadTable(fields, table);
  }
  return fields.Error(0, Quoted(fields[0]), "the name of an energy table, such as stack37");
}

// SHA-256 over every value, whatever the struct's padding.
std::string HashOf(FoldEnergies& energies) {
  std::string text;
  for (const Table& table : Tables(&energies)) {
    size_t count = 1;
    for (const char kind : table.kinds) count *= EntriesTaken(kind);
    Append(&text, table.name);
    for (size_t i = 0; i < count; ++i) Append(&text, " ", table.values[i]);
  }
  uint64_t long_loop = 0;
  static_assert(sizeof(long_loop) == sizeof(energies.long_loop));
  std::memcpy(&long_loop, &energies.long_loop, sizeof(long_loop));
  Append(&text, kLongLoopTable, " ", long_loop);
  // In the words' order: that of a file's line does not matter.
  std::map<int, int32_t> bonuses;
  for (int t = 0; t < energies.num_tetraloops; ++t) {
    int word = 0;
    for (const uint8_t code : energies.tetraloops[t].codes) word = 4 * word + code;
    bonuses[word] = energies.tetraloops[t].bonus;
  }
  for (const auto& [word, bonus] : bonuses) Append(&text, " ", word, " ", bonus);
  return Sha256Hex(text);
}

}  // namespace

absl::StatusOr<std::unique_ptr<FoldEnergies>> ReadFoldEnergies(const std::string& path) {
  auto reader = LineReader::Open(path);
  if (!reader.ok()) return reader.status();
  auto energies = std::make_unique<FoldEnergies>();
  std::set<std::string, std::less<>> seen;
  Line line;
  absl::StatusOr<bool> more;
  for (more = reader->NextLine(&line); more.ok() && *more; more = reader->NextLine(&line)) {
    const std::string_view text = StripBlanks(line.text);
    if (text.empty() || text.front() == '#') continue;
    const Fields fields(reader->name(), line);
    if (!seen.emplace(fields[0]).second) {
      return fields.Error(0, Concat("the table ", Quoted(fields[0]), " a second time"), "each table once");
    }
    if (auto status = ReadLine(fields, energies.get()); !status.ok()) return status;
  }
  if (!more.ok()) return more.status();
  std::vector<Table> tables = Tables(energies.get());
  tables.push_back({kTetraloopTable, {}, nullptr});
  tables.push_back({kLongLoopTable, {}, nullptr});
  for (const Table& table : tables) {
    if (seen.count(table.name) == 0) {
      return reader->Error(reader->line_number() + 1, 1, Concat("no table ", table.name), "every energy table");
    }
  }
  return energies;
}

bool IsStructureSource(const std::string& name) {
  if (name == kTurner1999 || name == kGivenProfiles) return true;
  const size_t prefix = std::strlen(kEnergiesPrefix);
  return name.size() == prefix + kHashDigits && name.compare(0, prefix, kEnergiesPrefix) == 0 &&
         name.find_first_not_of("0123456789abcdef", prefix) == std::string::npos;
}

absl::StatusOr<EnergySet> ReadEnergySet(const std::string& path) {
  if (path.empty() || path == kTurner1999) {
    return EnergySet{kTurner1999, std::make_unique<FoldFactors>(Turner1999Factors())};
  }
  const auto energies = ReadFoldEnergies(path);
  if (!energies.ok()) return energies.status();
  auto turner = std::make_unique<FoldEnergies>(Turner1999());
  const std::string hash = HashOf(**energies);
  return EnergySet{hash == HashOf(*turner) ? kTurner1999 : kEnergiesPrefix + hash.substr(0, kHashDigits),
                   std::make_unique<FoldFactors>(MakeFoldFactors(**energies))};
}

}  // namespace rb
