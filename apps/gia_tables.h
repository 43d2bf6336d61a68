// What `gia` writes: tables, local effects, and the summary people read.
#ifndef RB_APPS_GIA_TABLES_H_
#define RB_APPS_GIA_TABLES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gia/kmer_scan.h"
#include "gia/measured.h"
#include "gia/runner.h"

namespace rb::apps {

// What the measurements say of a question's pattern, beside the model.
struct MeasuredRow {
  std::string experiment, label, pattern;
  bool anywhere = false;
  MeasuredEffect effect;
  double model = 0;  // the model's global importance
};

// One model's answers.
struct GiaAnswers {
  std::string model;              // its name, unique among those asked
  std::vector<KmerEffect> kmers;  // strongest first; empty when no scan was asked for
  int k = 0, position = 0;        // of the scan
  int64_t nulls = 0;
  std::vector<ExperimentResult> experiments;
  std::vector<MeasuredRow> measured;  // with --data
};

struct GiaTableOptions {
  bool dna = false;
  int top = 20;  // k-mers in effects.tsv and the summary; kmers/MODEL.tsv has all
};

// Into `folder`: effects.tsv, lines.tsv, ratios.tsv and measured.tsv (where there are any), kmers/MODEL.tsv, local.npz.
absl::Status WriteGiaTables(const std::string& folder, const std::vector<GiaAnswers>& answers,
                            const GiaTableOptions& options);

// A screen for one model: each experiment's effects with their intervals, its lines, ratios and contrasts.
std::string GiaText(const GiaAnswers& answers, const GiaTableOptions& options);

}  // namespace rb::apps

#endif  // RB_APPS_GIA_TABLES_H_
