#include "apps/gia/replicates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "apps/common/text.h"
#include "data/alphabet.h"
#include "gia/kmer_scan.h"
#include "gia/statistics.h"

namespace rb::apps {
namespace {

constexpr char kHeader[] =
    "trained_on\texperiment\tkind\tlabel\tpattern\tmodels\tmean\tsd_models\tci_low\tci_high\tt\tp\tsd_sequences\n";

// One question's answers, a model each.
void AppendRow(const std::string& trained_on, const AnswerRow& question, const std::vector<double>& means,
               double sd_sequences, std::string* text) {
  const SampleSummary s = Summarize(means);
  const TTest test = PairedTTest(means);
  absl::StrAppend(text, trained_on, "\t", question.experiment, "\t", question.kind, "\t", question.label, "\t",
                  question.pattern, "\t", s.n);
  for (const double value : {s.mean, s.sd, s.ci_low, s.ci_high, test.t, test.p}) {
    absl::StrAppend(text, "\t", Shortest(value));
  }
  absl::StrAppend(text, "\t", std::isnan(sd_sequences) ? "" : Shortest(sd_sequences), "\n");
}

using Replicates = std::vector<const GiaPart*>;

void AppendKmers(const Replicates& models, const GiaTableOptions& options, std::string* text) {
  const size_t kmers = models[0]->kmer_means.size();
  for (const GiaPart* model : models) {
    if (model->kmer_means.size() != kmers) return;
  }
  const int k = std::bit_width(kmers) / 2;
  std::vector<double> mean(kmers);
  for (size_t m = 0; m < kmers; ++m) {
    for (const GiaPart* model : models) mean[m] += model->kmer_means[m] / static_cast<double>(models.size());
  }
  std::vector<int64_t> order(kmers);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return mean[a] > mean[b]; });
  order.resize(std::min(kmers, static_cast<size_t>(options.top)));
  for (const int64_t m : order) {
    std::vector<double> means;
    for (const GiaPart* model : models) means.push_back(model->kmer_means[m]);
    const std::string kmer = InAlphabet(KmerLetters(m, k), options.dna);
    const AnswerRow question = {"kmer", "effect", kmer, absl::StrCat(kmer, "@", models[0]->position), 0, 0};
    AppendRow(models[0]->trained_on, question, means, std::numeric_limits<double>::quiet_NaN(), text);
  }
}

void AppendQuestions(const Replicates& models, std::string* text) {
  using Key = std::pair<std::string, std::string>;  // experiment, label
  std::vector<std::map<Key, const AnswerRow*>> others;
  for (size_t i = 1; i < models.size(); ++i) {
    auto& of = others.emplace_back();
    for (const AnswerRow& row : models[i]->answers) of[{row.experiment, row.label}] = &row;
  }
  for (const AnswerRow& row : models[0]->answers) {
    std::vector<double> means = {row.mean};
    double squares = row.sd * row.sd;
    for (const auto& other : others) {
      const auto found = other.find({row.experiment, row.label});
      if (found == other.end() || found->second->pattern != row.pattern) break;
      means.push_back(found->second->mean);
      squares += found->second->sd * found->second->sd;
    }
    if (means.size() < models.size()) continue;
    AppendRow(models[0]->trained_on, row, means, std::sqrt(squares / static_cast<double>(means.size())), text);
  }
}

}  // namespace

std::string ReplicatesTable(const std::vector<GiaPart>& parts, const GiaTableOptions& options) {
  std::vector<std::string> order;
  std::map<std::string, Replicates> by_experiment;
  for (const GiaPart& part : parts) {
    Replicates& models = by_experiment[part.trained_on];
    if (models.empty()) order.push_back(part.trained_on);
    models.push_back(&part);
  }
  std::string rows;
  for (const std::string& trained_on : order) {
    const Replicates& models = by_experiment[trained_on];
    if (models.size() < 2 || trained_on.empty()) continue;
    AppendKmers(models, options, &rows);
    AppendQuestions(models, &rows);
  }
  return rows.empty() ? rows : kHeader + rows;
}

}  // namespace rb::apps
