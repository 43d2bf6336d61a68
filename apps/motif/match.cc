// residualbind motif match: one motif against those of a file.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/text.h"
#include "apps/motif/commands.h"
#include "apps/motif/files.h"
#include "data/writers.h"
#include "engine/check.h"
#include "gia/motif_match.h"

namespace rb::apps {
namespace {

struct Flags {
  CommonFlags common;
  std::string query, targets, score = "pearson", out;
  int min_overlap = 4, top = 10;
  bool both_strands = false;
};

// MatchMotif speaks of motifs by number; here a file is at fault.
absl::Status CheckWidth(const MotifRecord& motif, const std::string& where) {
  if (motif.pwm.columns.size() <= static_cast<size_t>(kMaxMatchColumns)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(where, ": motif ", motif.pwm.name, " has ", motif.pwm.columns.size(),
                                                 " columns; expected at most ", kMaxMatchColumns));
}

// Best first: smallest p, then the higher score, then the file's order.
void Sort(std::vector<MotifMatch>& matches) {
  std::stable_sort(matches.begin(), matches.end(),
                   [](const MotifMatch& a, const MotifMatch& b) { return a.p != b.p ? a.p < b.p : a.score > b.score; });
}

std::string TableOf(const std::string& query, const std::vector<Pwm>& targets, const std::vector<MotifMatch>& matches,
                    int top) {
  std::string text = "query\ttarget\toffset\toverlap\torientation\tscore\tp\te\tq\n";
  for (size_t i = 0; i < matches.size() && (top == 0 || i < static_cast<size_t>(top)); ++i) {
    const MotifMatch& match = matches[i];
    absl::StrAppend(&text, query, "\t", targets[static_cast<size_t>(match.target)].name, "\t", match.offset, "\t",
                    match.overlap, "\t", match.reverse ? "-" : "+");
    for (const double value : {match.score, match.p, match.e, match.q}) absl::StrAppend(&text, "\t", Shortest(value));
    text += '\n';
  }
  return text;
}

absl::Status Run(const Flags& flags) {
  if (!flags.out.empty()) RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_ASSIGN_OR_RETURN(const MotifRecord query, ReadOneMotif(flags.query));
  RB_RETURN_IF_ERROR(CheckWidth(query, flags.query));
  RB_ASSIGN_OR_RETURN(const std::vector<MotifRecord> records, ReadMotifs(flags.targets));
  std::vector<Pwm> targets;
  for (const MotifRecord& record : records) {
    RB_RETURN_IF_ERROR(CheckWidth(record, flags.targets));
    targets.push_back(record.pwm);
  }
  MatchOptions options;
  options.score = flags.score == "euclidean" ? ColumnScore::kEuclidean : ColumnScore::kPearson;
  options.min_overlap = flags.min_overlap;
  options.reverse_complement = flags.both_strands;
  RB_ASSIGN_OR_RETURN(std::vector<MotifMatch> matches, MatchMotif(query.pwm, targets, options));
  Sort(matches);
  const std::string text = TableOf(query.pwm.name, targets, matches, flags.top);
  if (flags.out.empty()) return std::fputs(text.c_str(), stdout), absl::OkStatus();
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  return WriteFile(flags.out, text);
}

}  // namespace

Action DefineMotifMatch(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--query", flags->query, "motif file, with :NAME when it holds several")
      ->required()
      ->type_name("FILE[:NAME]");
  app.add_option("--targets", flags->targets, "motifs to compare with: MEME, JASPAR or TRANSFAC")
      ->required()
      ->type_name("FILE");
  app.add_option("--score", flags->score, "of two columns: pearson or euclidean")
      ->check(CLI::IsMember({"pearson", "euclidean"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--min-overlap", flags->min_overlap, "columns that must lie above each other")
      ->check(CLI::Range(1, kMaxMatchColumns))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--top", flags->top, "rows to print, best first; 0 prints all")
      ->check(CLI::Range(0, 1000000))
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--both-strands", flags->both_strands, "compare with the targets' reverse complements too (DNA)");
  app.add_option("--out", flags->out, "TSV to write (default: stdout)")->type_name("FILE");
  AddCommonFlags(app, flags->common, kOverwriteFlag);
  app.footer("Example:\n  residualbind motif match --query found.meme --targets known.meme --top 5");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
