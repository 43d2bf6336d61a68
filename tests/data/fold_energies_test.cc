// Energy parameters as text, and folding against profiles made by the programs whose energy model this is.
#include "data/fold_energies_reader.h"

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "data/alphabet.h"
#include "data/line_reader.h"
#include "data/text_value.h"
#include "kernels/fold.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

// One table as text: entries of pair types 0 and 7 are filled with 77, which nobody may take.
std::string TableLine(const std::string& name, const std::string& kinds, const int32_t* next) {
  std::string line = name + " " + std::to_string(kinds.size());
  const auto entries = [](char kind) { return kind == 'p' ? 8 : kind == 'n' ? 31 : kind == '1' ? 1 : 5; };
  int count = 1;
  for (const char kind : kinds) count *= entries(kind), line += " " + std::to_string(entries(kind));
  for (int i = 0; i < count; ++i) {
    bool used = true;
    int rest = i;
    for (auto kind = kinds.rbegin(); kind != kinds.rend(); rest /= entries(*kind++)) {
      const int index = rest % entries(*kind);
      used &= !(*kind == 'p' && (index == 0 || index == 7)) && !(*kind == 'a' && index != 2);
    }
    line += " " + std::to_string(used ? *next++ : 77);
  }
  return line + "\n";
}

std::map<std::string, std::string> TableLines(const FoldEnergies& e) {
  std::map<std::string, std::string> lines;
  const auto add = [&](const std::string& name, const std::string& kinds, const auto& values) {
    lines[name] = TableLine(name, kinds, reinterpret_cast<const int32_t*>(&values));
  };
  add("stack37", "pp", e.stack), add("hairpin37", "n", e.hairpin), add("bulge37", "n", e.bulge);
  add("internal_loop37", "n", e.interior), add("mismatchI37", "pbb", e.mismatch_interior);
  add("mismatchH37", "pbb", e.mismatch_hairpin), add("dangle5_37", "pb", e.dangle5), add("dangle3_37", "pb", e.dangle3);
  add("int11_37", "ppbb", e.int11), add("int21_37", "ppbbb", e.int21), add("int22_37", "ppbbbb", e.int22);
  add("ML_BASE37", "1", e.multi_base), add("ML_closing37", "1", e.multi_closing), add("ML_intern37", "1", e.multi_stem);
  add("TerminalAU", "1", e.terminal_au), add("MAX_NINIO", "1", e.max_asymmetry), add("F_ninio37", "a", e.asymmetry);
  std::string& loops = lines["tetraloop_bonus"] = "tetraloop_bonus " + std::to_string(e.num_tetraloops);
  for (int t = 0; t < e.num_tetraloops; ++t) {
    loops += " ";
    for (const uint8_t code : e.tetraloops[t].codes) loops += kBaseLetters[code];
    loops += " " + std::to_string(e.tetraloops[t].bonus);
  }
  loops += "\n";
  lines["lxc37"] = "lxc37 " + std::to_string(e.long_loop) + "\n";
  return lines;
}

std::string Joined(const std::map<std::string, std::string>& lines) {
  std::string text = "# parameters\n\n";
  for (const auto& [name, line] : lines) text += line;
  return text;
}

absl::StatusOr<std::unique_ptr<FoldEnergies>> Read(const std::string& text) {
  const TemporaryFolder folder;
  return ReadFoldEnergies(folder.Write("e.txt", text));
}

void ExpectSameEnergies(const FoldEnergies& a, const FoldEnergies& b) {
  const auto lines_a = TableLines(a), lines_b = TableLines(b);
  for (const auto& [name, line] : lines_a) ExpectEqual(line, lines_b.at(name), name);
}

TEST(FoldEnergies, ReadsWhatItMeans) {
  FoldEnergies energies = Turner1999();
  for (size_t i = 0; i < sizeof energies.int22 / sizeof(int32_t); ++i) (&energies.int22[0][0][0][0][0][0])[i] = i;
  energies.multi_base = -7;
  const auto read = Read(Joined(TableLines(energies)));
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectSameEnergies(**read, energies);
}

TEST(FoldEnergies, TellsWhatIsWrong) {
  const auto lines = TableLines(Turner1999());
  const auto read = [&](const std::string& name, const std::string& from, const std::string& to) {
    auto changed = lines;
    changed[name] = absl::StrReplaceAll(lines.at(name), {{from, to}});
    return Read(Joined(changed)).status();
  };
  const auto expect = [](const absl::Status& status, std::initializer_list<std::string> parts) {
    ExpectError(status, StatusCode::kInvalidArgument, parts);
  };
  expect(read("TerminalAU", "50", "5O"), {"e.txt:", ":16: found '5O'; expected a whole number"});
  expect(read("TerminalAU", "50", "50 1"), {":19: found 5 fields; expected 4 for TerminalAU"});
  expect(read("TerminalAU", "1 1 50", ""), {"found the line's end; expected a whole number"});
  expect(read("hairpin37", "1 31", "1 30"), {":13: found 30; expected 31 entries of hairpin37"});
  expect(read("hairpin37", "1 31", "2 31"), {":11: found 2; expected 1 dimensions of hairpin37"});
  expect(read("hairpin37", "570 ", ""), {"found 33 fields; expected 34 for hairpin37"});
  expect(read("hairpin37", "570", "5700000"), {"found '5700000'; expected a whole number from -1000000"});
  expect(read("stack37", "stack37", "stuck37"), {"found 'stuck37'; expected the name of an energy table"});
  expect(read("stack37", "stack37", "# "), {"found no table stack37; expected every energy table"});
  expect(read("stack37", "stack37", "lxc37 1\nstack37"), {"the table 'lxc37' a second time"});
  expect(read("tetraloop_bonus", "GGGGAC", "GGNGAC"), {":20: found 'GGNGAC'; expected six letters"});
  expect(read("tetraloop_bonus", " 30 ", " 65 "), {"found 65 tetraloops; expected 0 to 64"});
  expect(read("tetraloop_bonus", " 30 ", " 31 "), {"found 62 fields; expected 64"});
  expect(read("lxc37", "107", "inf107"), {":7: found 'inf107"});
  ExpectError(ReadFoldEnergies("/nowhere/e.txt").status(), StatusCode::kNotFound, {"/nowhere/e.txt"});
}

// The folder of reference values beside that of real measurements; empty when absent.
std::string ReferenceFolder() {
  const std::string shared = test::SharedData();
  const std::string folder = shared.empty() ? "" : shared + "/../reference";
  return !folder.empty() && std::filesystem::exists(folder) ? folder : "";
}
constexpr char kNoReference[] = "no reference values: put ../shared/reference beside the source folder";

TEST(FoldEnergies, OwnTableEqualsThePublishedOne) {
  const std::string folder = ReferenceFolder();
  if (folder.empty()) GTEST_SKIP() << kNoReference;
  const auto read = ReadFoldEnergies(folder + "/turner1999.txt.xz");
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectSameEnergies(Turner1999(), **read);
}

// Columns: id, sequence, and the five tracks, each a list with commas.
TEST(FoldEnergies, ProfilesEqualTheReference) {
  const std::string folder = ReferenceFolder();
  if (folder.empty()) GTEST_SKIP() << kNoReference;
  const auto factors = std::make_unique<FoldFactors>(MakeFoldFactors(Turner1999()));
  auto reader = LineReader::Open(folder + "/phime.tsv.xz").value();
  test::ThreadParallel parallel(1);
  Line line;
  std::vector<std::string_view> fields;
  int sequences = 0;
  double worst = 0;
  while (reader.NextLine(&line).value()) {
    SplitTabs(line.text, &fields);
    if (fields[0] == "id") continue;
    ++sequences;
    const int length = static_cast<int>(fields[1].size());
    std::vector<uint8_t> codes;
    for (const char letter : fields[1]) codes.push_back(BaseCode(letter));
    std::vector<uint32_t> bases(PackedWords(length));
    PackBases(codes.data(), length, bases.data());
    std::vector<double> tracks(length * kFoldTracks);
    cpu::Fold(FoldArgs<double>{factors.get(), bases.data(), nullptr, 1, length, tracks.data(), nullptr}, parallel);
    for (int track = 0; track < kFoldTracks; ++track) {
      const std::vector<std::string> cells = absl::StrSplit(std::string(fields[2 + track]), ',');
      ASSERT_EQ(static_cast<int>(cells.size()), length);
      for (int p = 0; p < length; ++p) {
        const double difference = std::abs(std::stod(cells[p]) - tracks[p * kFoldTracks + track]);
        worst = std::max(worst, difference);
        test::ExpectWithin(difference, 0, 1e-7, std::string(fields[0]) + " base " + std::to_string(p));
      }
    }
  }
  std::printf("%d sequences, largest difference %.2e\n", sequences, worst);
  ExpectEqual(sequences, 300);
}

TEST(EnergySet, IsNamedByItsValues) {
  const TemporaryFolder folder;
  auto energies = std::make_unique<FoldEnergies>(Turner1999());
  ExpectEqual(ReadEnergySet("")->name, std::string(kTurner1999));
  const std::string same = folder.Write("same.txt", Joined(TableLines(*energies)));
  ExpectEqual(ReadEnergySet(same)->name, std::string(kTurner1999));
  std::set<std::string> names;
  std::swap(energies->tetraloops[0], energies->tetraloops[1]);  // order says nothing
  ExpectEqual(ReadEnergySet(folder.Write("o.txt", Joined(TableLines(*energies))))->name, std::string(kTurner1999));
  for (int32_t* const value : {&energies->stack[5][5], &energies->int22[0][0][0][0][0][1], &energies->asymmetry,
                               &energies->tetraloops[3].bonus}) {
    ++*value;
    const std::string path = folder.Write("e.txt", Joined(TableLines(*energies)));
    const EnergySet set = ReadEnergySet(path).value();
    ExpectEqual(set.name, ReadEnergySet(path)->name);
    ExpectEqual(IsStructureSource(set.name), true, set.name);
    names.insert(set.name);
  }
  ExpectEqual(names.size(), size_t{4});
  for (const char* const other : {"", "turner", "energies-", "energies-0123456789abcde", "energies-0123456789abcdeg"}) {
    ExpectEqual(IsStructureSource(other), false, other);
  }
  ExpectEqual(ReadEnergySet(folder / "none.txt").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace rb
