// What `gia` writes: tables, local effects, and the summary people read.
#ifndef RB_APPS_GIA_TABLES_H_
#define RB_APPS_GIA_TABLES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/common/outputs.h"
#include "gia/kmer_scan.h"
#include "gia/measured.h"
#include "gia/runner.h"

namespace rb::apps {

// What models are called in all these files: the experiment's name, with the replicate's number where several models
// share it, else with the model's number in the list.
std::vector<std::string> ModelNames(const std::vector<LoadedModel>& models);

// What the measurements say of a question's pattern, beside the model.
struct MeasuredRow {
  std::string experiment, label, pattern;
  bool anywhere = false;
  MeasuredEffect effect;
  double model = 0;  // the model's global importance
};

// How likely each position is paired, on average over the sequences that carry a question's pattern.
struct PairingRow {
  std::string experiment, label;
  std::vector<double> paired;  // [L]
};

// One model's answers.
struct GiaAnswers {
  std::string model;              // its name, unique among those asked
  std::string trained_on;         // the experiment of the data set
  std::vector<KmerEffect> kmers;  // strongest first; empty when no scan was asked for
  int k = 0, position = 0;        // of the scan
  int64_t nulls = 0;
  std::vector<ExperimentResult> experiments;
  std::vector<MeasuredRow> measured;  // with --data
  std::vector<PairingRow> pairing;    // of experiments with hairpins
};

struct GiaTableOptions {
  bool dna = false;
  int top = 20;  // k-mers in effects.tsv and the summary; kmers/MODEL.tsv has all
};

struct LocalEffects {
  std::string experiment;
  std::vector<std::string> labels;  // of its questions
  std::vector<float> values;        // [questions][nulls]
};

// An effect or contrast, for models to be compared by.
struct AnswerRow {
  std::string experiment, kind, label, pattern;
  double mean = 0, sd = 0;  // over the null sequences
};

// One model's answers as they are written: rows of the tables, without their headers; the table of k-mers with its own
// (empty without a scan); a screen of text. Parts that are put together give the same files wherever they were made.
struct GiaPart {
  std::string model, effects, lines, ratios, measured, pairing, kmers, summary;
  int64_t nulls = 0;
  std::vector<LocalEffects> local;
  std::string trained_on;          // the experiment of the data set: models of one are replicates
  std::vector<AnswerRow> answers;  // without k-mers
  std::vector<double> kmer_means;  // [4^k] in alphabetical order; empty without a scan
  int position = 0;                // of the scan
};

GiaPart MakeGiaPart(GiaAnswers answers, const GiaTableOptions& options);

// The files that WriteGiaTables may write, but for kmers/MODEL.tsv.
std::vector<std::string> GiaTablePaths(const std::string& folder);

// Files of an earlier run that this one does not write are removed. Into `folder`: effects.tsv, replicates.tsv
// (apps/gia/replicates.h), lines.tsv, ratios.tsv, measured.tsv and pairing.tsv (where there are any), kmers/MODEL.tsv,
// local.npz.
absl::Status WriteGiaTables(const std::string& folder, const std::vector<GiaPart>& parts,
                            const GiaTableOptions& options);

}  // namespace rb::apps

#endif  // RB_APPS_GIA_TABLES_H_
