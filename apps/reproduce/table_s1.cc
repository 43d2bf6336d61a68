// Supplementary table 1: the models' motifs beside known ones.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "apps/common/text.h"
#include "apps/motif/files.h"
#include "apps/plot/pieces.h"
#include "apps/reproduce/pieces.h"
#include "apps/reproduce/stage.h"
#include "data/alphabet.h"
#include "engine/check.h"
#include "gia/motif_io.h"
#include "gia/motif_match.h"

namespace rb::apps {
namespace {

constexpr char kRbfox1[] = "RNCMPT00168", kCanonical[] = "UGCAUG";

struct TableRow {
  std::string experiment, kmer;
  double effect = 0;
  AlignmentMotif motif;
  Pwm match;  // of --motifs, without columns where there is none
  MotifMatch best;
};

// Positions of the widest motif keep letters equally wide everywhere.
void AddLogo(plot::Drawing& drawing, const plot::Box& box, const plot::LogoData& logo, size_t widest,
             const plot::Style& style) {
  if (logo.heights.empty()) return;
  plot::Axis x = plot::PositionAxis("", 1, widest), y = plot::NumberAxis("", {0, 2});
  x.hidden = y.hidden = true;
  plot::Panel panel(drawing, box, x, y);
  for (size_t i = 0; i < logo.heights.size(); ++i) {
    const double at = 1 + static_cast<double>(i);
    AddStack(panel, panel.X(at - 0.5) + 0.3, panel.X(at + 0.5) - 0.3, logo.heights[i], style);
  }
  drawing.AddLine(plot::Role::kGuide, panel.At(0.5, 0), panel.At(0.5 + static_cast<double>(logo.heights.size()), 0),
                  {plot::kGrey, 0.5});
}

absl::StatusOr<plot::Drawing> DrawTable(const std::vector<TableRow>& rows, bool matched, const plot::Style& style) {
  if (rows.empty()) return plot::NothingToDraw("at least one motif");
  constexpr double kRow = 40, kHead = 20, kLogo = 150, kText = 120, kColumn = 10;
  size_t widest = 1;
  for (const TableRow& row : rows) widest = std::max({widest, row.motif.pwm.columns.size(), row.match.columns.size()});
  const double left = kText + kLogo + 2 * kColumn;
  plot::Drawing drawing(matched ? left + 2 * kLogo : left + 2 * kColumn,
                        40 + (style.title.empty() ? 0 : 18) + kHead + kRow * static_cast<double>(rows.size()));
  const plot::Box rest = plot::AddTitle(drawing, style.title);
  plot::TextStyle head = {8, plot::Align::kStart, true};
  const double second = rest.left + kText, third = rest.left + left;
  drawing.AddText(plot::Role::kAxisTitle, "experiment, top 6-mer", {rest.left, rest.top + 8}, head);
  drawing.AddText(plot::Role::kAxisTitle, "6-mers aligned", {second, rest.top + 8}, head);
  if (matched) drawing.AddText(plot::Role::kAxisTitle, "best known motif", {third, rest.top + 8}, head);
  double top = rest.top + kHead;
  for (const TableRow& row : rows) {
    drawing.AddText(plot::Role::kTickLabel, plot::FitText(row.experiment, kText - 6, 8), {rest.left, top + 14}, {8});
    drawing.AddText(plot::Role::kNote, absl::StrCat(InAlphabet(row.kmer, style.dna), "  ", Fixed(row.effect, 2)),
                    {rest.left, top + 26}, {8});
    AddLogo(drawing, {second, top, second + kLogo, top + kRow - 6}, plot::CoverageLogo(row.motif), widest, style);
    if (matched) {
      AddLogo(drawing, {third, top, third + kLogo, top + kRow - 6}, plot::InformationLogo(row.match), widest, style);
      const double at = third + kLogo + kColumn, width = rest.right - at;
      drawing.AddText(plot::Role::kTickLabel, plot::FitText(row.match.name, width, 8), {at, top + 14}, {8});
      drawing.AddText(plot::Role::kNote, absl::StrCat("p ", plot::Short(row.best.p, 2)), {at, top + 26}, {8});
    }
    top += kRow;
  }
  return drawing;
}

absl::StatusOr<std::vector<Pwm>> KnownMotifs(const Stage& stage) {
  std::vector<Pwm> known;
  if (stage.flags().motifs.empty()) return known;
  RB_ASSIGN_OR_RETURN(const std::vector<MotifRecord> records, ReadMotifs(stage.flags().motifs));
  for (const MotifRecord& record : records) {
    if (std::ssize(record.pwm.columns) > kMaxMatchColumns) {
      return absl::InvalidArgumentError(absl::StrCat(stage.flags().motifs, ": motif ", record.pwm.name, " has ",
                                                     record.pwm.columns.size(), " columns; expected at most ",
                                                     kMaxMatchColumns));
    }
    known.push_back(record.pwm);
  }
  return known;
}

std::string TsvOf(const std::vector<TableRow>& rows, bool dna) {
  std::string text =
      "experiment\ttop_kmer\teffect\tconsensus\tcolumns\tmatch\tmatch_consensus\toverlap\tscore\tp\te\tq\n";
  for (const TableRow& row : rows) {
    absl::StrAppend(&text, row.experiment, "\t", InAlphabet(row.kmer, dna), "\t", Shortest(row.effect), "\t",
                    InAlphabet(Consensus(row.motif.pwm), dna), "\t", row.motif.pwm.columns.size());
    if (row.match.columns.empty()) {
      text += "\t\t\t\t\t\t\t\n";
      continue;
    }
    absl::StrAppend(&text, "\t", row.match.name, "\t", InAlphabet(Consensus(row.match), dna), "\t", row.best.overlap);
    for (const double v : {row.best.score, row.best.p, row.best.e, row.best.q}) {
      absl::StrAppend(&text, "\t", Shortest(v));
    }
    text += '\n';
  }
  return text;
}

}  // namespace

absl::Status ReproduceTableS1(Stage& stage) {
  RB_ASSIGN_OR_RETURN(const std::vector<Pwm> known, KnownMotifs(stage));
  const bool dna = stage.flags().common.dna();
  std::vector<TableRow> rows;
  std::vector<MotifRecord> records;
  for (const LoadedModel* model : stage.OneOfEach()) {
    const std::string& name = model->file.experiment;
    if (!stage.flags().experiment.empty() && stage.flags().experiment != name) continue;
    RB_ASSIGN_OR_RETURN(const GiaAnswers answers, stage.Ask(*model, {"kmer"}, ""));
    if (name == kRbfox1) stage.FindOf(*model, "rank", static_cast<double>(RankOf(answers, kCanonical)));
    TableRow& row = rows.emplace_back();
    row.experiment = name, row.kmer = answers.kmers[0].kmer, row.effect = answers.kmers[0].effect;
    RB_ASSIGN_OR_RETURN(row.motif, AlignedMotif(answers, stage.published(), name));
    records.emplace_back().pwm = row.motif.pwm;
    if (!known.empty()) {
      RB_ASSIGN_OR_RETURN(const std::vector<MotifMatch> matches, MatchMotif(row.motif.pwm, known, {}));
      row.best = *std::min_element(matches.begin(), matches.end(), [](const MotifMatch& a, const MotifMatch& b) {
        return a.p != b.p ? a.p < b.p : a.score > b.score;
      });
      row.match = known[static_cast<size_t>(row.best.target)];
    }
    const std::string file = absl::StrCat("logos/", name);
    RB_RETURN_IF_ERROR(stage.Show(file, DrawLogo(plot::CoverageLogo(row.motif), stage.Titled(name))));
  }
  if (rows.empty())
    return stage.ModelOf(stage.flags().experiment.empty() ? kRbfox1 : stage.flags().experiment).status();
  stage.Keep("table_s1.tsv", TsvOf(rows, dna));
  RB_ASSIGN_OR_RETURN(std::string meme, FormatMotifs(records, MotifFormat::kMeme, dna));
  stage.Keep("motifs.meme", std::move(meme));
  return stage.Show("table_s1", DrawTable(rows, !known.empty(), stage.Titled("Motifs by global importance")));
}

}  // namespace rb::apps
