#include "apps/gia/tables.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/common/outputs.h"
#include "apps/common/text.h"
#include "apps/gia/replicates.h"
#include "data/alphabet.h"
#include "data/writers.h"
#include "engine/check.h"
#include "gia/array_name.h"
#include "gia/distributions.h"
#include "gia/npz_writer.h"

namespace rb::apps {
namespace {

constexpr char kEffectsHeader[] =
    "model\texperiment\tkind\tlabel\tpattern\tx\tn\tmean\tsd\tci_low\tci_high\tt\tp\tq\twilcoxon_p\tleft_out\n";
constexpr char kLinesHeader[] = "model\texperiment\tlabel\tn\tintercept\tslope\tslope_se\tr_squared\n";
constexpr char kRatiosHeader[] = "model\texperiment\tlabel\tformula\tvalue\n";
constexpr char kPairingHeader[] = "model\texperiment\tlabel\tposition\tpaired\n";
constexpr char kMeasuredHeader[] =
    "model\texperiment\tlabel\tpattern\twhere\tprobes\tmean\tci_low\tci_high\tmodel_mean\n";

// Names of files and their motifs keep their letters.
std::string Letters(const std::string& text, bool dna) {
  if (!dna) return text;
  std::vector<std::string> elements = absl::StrSplit(text, '+');
  for (std::string& element : elements) {
    if (element.find(':') == std::string::npos) element = InAlphabet(std::move(element), true);
  }
  return absl::StrJoin(elements, "+");
}

// A k-mer's effect as any other's; its local effects were not kept, so that there are no ranks to test.
Effect AsEffect(const KmerEffect& kmer, int position, int64_t nulls) {
  Effect effect;
  effect.label = kmer.kmer;
  effect.pattern = absl::StrCat(kmer.kmer, "@", position);
  effect.x = effect.wilcoxon_p = std::numeric_limits<double>::quiet_NaN();
  const double n = static_cast<double>(kmer.n), half = StudentQuantile(0.05, n - 1) * kmer.se;
  effect.summary = {kmer.n, kmer.effect, kmer.se * std::sqrt(n), kmer.se, kmer.effect - half, kmer.effect + half};
  effect.t = kmer.effect / kmer.se;
  effect.p = StudentTwoSidedP(effect.t, n - 1);
  effect.left_out = nulls - kmer.n;
  return effect;
}

std::vector<Effect> KmerEffects(const GiaAnswers& answers) {
  std::vector<Effect> effects;
  std::vector<double> p;
  for (const KmerEffect& kmer : answers.kmers) {
    effects.push_back(AsEffect(kmer, answers.position, answers.nulls));
    p.push_back(effects.back().p);
  }
  const std::vector<double> q = BenjaminiHochberg(p);
  for (size_t i = 0; i < q.size(); ++i) effects[i].q = q[i];
  return effects;
}

void AppendRow(const std::string& model, const std::string& experiment, const char* kind, const Effect& e,
               const GiaTableOptions& options, std::string* text) {
  absl::StrAppend(text, model, "\t", experiment, "\t", kind, "\t", Letters(e.label, options.dna), "\t",
                  Letters(e.pattern, options.dna), "\t", std::isnan(e.x) ? "" : Shortest(e.x), "\t", e.summary.n);
  for (const double value :
       {e.summary.mean, e.summary.sd, e.summary.ci_low, e.summary.ci_high, e.t, e.p, e.q, e.wilcoxon_p}) {
    absl::StrAppend(text, "\t", Shortest(value));
  }
  absl::StrAppend(text, "\t", e.left_out, "\n");
}

std::string KmersText(const std::vector<Effect>& effects, const GiaTableOptions& options) {
  std::string text = "kmer\teffect\tse\tn\tt\tp\tq\n";
  for (const Effect& e : effects) {
    absl::StrAppend(&text, Letters(e.label, options.dna), "\t", Shortest(e.summary.mean), "\t", Shortest(e.summary.se),
                    "\t", e.summary.n, "\t", Shortest(e.t), "\t", Shortest(e.p), "\t", Shortest(e.q), "\n");
  }
  return text;
}

std::string LineRows(const GiaAnswers& a) {
  std::string rows;
  for (const ExperimentResult& e : a.experiments) {
    for (const auto& [label, line] : e.lines) {
      absl::StrAppend(&rows, a.model, "\t", e.name, "\t", label, "\t", line.n, "\t", Shortest(line.intercept), "\t",
                      Shortest(line.slope), "\t", Shortest(line.slope_se), "\t", Shortest(line.r_squared), "\n");
    }
  }
  return rows;
}

std::string RatioRows(const GiaAnswers& a) {
  std::string rows;
  for (const ExperimentResult& e : a.experiments) {
    for (const RatioValue& ratio : e.ratios) {
      absl::StrAppend(&rows, a.model, "\t", e.name, "\t", ratio.label, "\t", ratio.formula, "\t", Shortest(ratio.value),
                      "\n");
    }
  }
  return rows;
}

std::string MeasuredRows(const GiaAnswers& a, const GiaTableOptions& options) {
  std::string rows;
  for (const MeasuredRow& row : a.measured) {
    const SampleSummary& s = row.effect.summary;
    absl::StrAppend(&rows, a.model, "\t", row.experiment, "\t", Letters(row.label, options.dna), "\t",
                    Letters(row.pattern, options.dna), "\t", row.anywhere ? "anywhere" : "position", "\t",
                    row.effect.carriers);
    for (const double value : {s.mean, s.ci_low, s.ci_high}) {
      absl::StrAppend(&rows, "\t", std::isnan(value) ? "" : Shortest(value));
    }
    absl::StrAppend(&rows, "\t", Shortest(row.model), "\n");
  }
  return rows;
}

std::string PairingRows(const GiaAnswers& a, const GiaTableOptions& options) {
  std::string rows;
  for (const PairingRow& row : a.pairing) {
    for (size_t p = 0; p < row.paired.size(); ++p) {
      absl::StrAppend(&rows, a.model, "\t", row.experiment, "\t", Letters(row.label, options.dna), "\t", p, "\t",
                      Fixed(row.paired[p], 4), "\n");
    }
  }
  return rows;
}

std::string EffectsText(const std::vector<Effect>& effects, const GiaTableOptions& options) {
  std::vector<std::vector<std::string>> rows = {{"", "effect", "95 % interval", "q"}};
  double low = 0, high = 0;
  int controls = 0;
  for (const Effect& e : effects) {
    if (e.control) {
      low = controls == 0 ? e.summary.mean : std::min(low, e.summary.mean);
      high = controls++ == 0 ? e.summary.mean : std::max(high, e.summary.mean);
      continue;
    }
    rows.push_back({absl::StrCat("  ", Letters(e.label, options.dna)), Fixed(e.summary.mean, 3),
                    absl::StrCat(Fixed(e.summary.ci_low, 3), " to ", Fixed(e.summary.ci_high, 3)),
                    e.q < 0.001 ? "< 0.001" : Fixed(e.q, 3)});
  }
  std::string text = AlignedTable(rows);
  if (controls > 0) absl::StrAppend(&text, "  ", controls, " controls: ", Fixed(low, 3), " to ", Fixed(high, 3), "\n");
  return text;
}

// A screen for one model: each experiment's effects with their intervals, its lines, ratios and contrasts.
std::string Summary(const GiaAnswers& answers, const GiaTableOptions& options) {
  std::string text = absl::StrCat(answers.model, ", ", Grouped(answers.nulls), " null sequences\n");
  if (!answers.kmers.empty()) {
    std::vector<Effect> top = KmerEffects(answers);
    top.resize(std::min<size_t>(top.size(), static_cast<size_t>(std::min(options.top, 10))));
    absl::StrAppend(&text, "\nkmer: strongest of ", Grouped(static_cast<int64_t>(answers.kmers.size())), " ", answers.k,
                    "-mers at position ", answers.position, "\n", EffectsText(top, options));
  }
  for (const ExperimentResult& e : answers.experiments) {
    absl::StrAppend(&text, "\n", e.name, "\n", EffectsText(e.effects, options));
    if (!e.contrasts.empty()) absl::StrAppend(&text, EffectsText(e.contrasts, options));
    for (const auto& [label, line] : e.lines) {
      absl::StrAppend(&text, "  ", label, ": slope ", Fixed(line.slope, 3), ", R2 ", Fixed(line.r_squared, 4), "\n");
    }
    for (const RatioValue& ratio : e.ratios) {
      absl::StrAppend(&text, "  ", ratio.label, " = ", ratio.formula, " = ", Fixed(ratio.value, 3), "\n");
    }
  }
  return text;
}

// [questions][nulls] of every model and experiment, with the questions' labels.
absl::Status WriteLocal(const std::string& path, const std::vector<GiaPart>& parts) {
  std::vector<NamedArray> arrays;
  std::set<std::string> names;
  for (const GiaPart& part : parts) {
    std::string name = ArrayName(part.model);
    for (int i = 2; !names.insert(name).second; ++i) name = ArrayName(part.model, i);
    for (const LocalEffects& local : part.local) {
      const auto questions = static_cast<int64_t>(local.labels.size());
      arrays.push_back(
          {absl::StrCat(name, ".", local.experiment), {questions, part.nulls}, std::span<const float>(local.values)});
      arrays.push_back({absl::StrCat(name, ".", local.experiment, ".labels"),
                        {questions},
                        std::span<const std::string>(local.labels)});
    }
  }
  return arrays.empty() ? absl::OkStatus() : WriteNpz(path, arrays);
}

// A table of all parts' rows, unless there are none.
absl::Status WriteTable(const std::string& path, const char* header, const std::vector<GiaPart>& parts,
                        std::string GiaPart::*rows) {
  std::string text;
  for (const GiaPart& part : parts) text += part.*rows;
  return text.empty() ? absl::OkStatus() : WriteFile(path, header + text);
}

}  // namespace

std::vector<std::string> ModelNames(const std::vector<LoadedModel>& models) {
  std::map<std::string, int> uses;
  const auto named = [](const ModelFile& file) {
    return file.config.replicate == 0 ? file.experiment : absl::StrCat(file.experiment, "-", file.config.replicate);
  };
  for (const LoadedModel& model : models) ++uses[named(model.file)];
  std::vector<std::string> names;
  for (size_t i = 0; i < models.size(); ++i) {
    const std::string name = named(models[i].file);
    names.push_back(uses[name] == 1 && !name.empty() ? name : absl::StrCat(name, "-model", i + 1));
  }
  return names;
}

GiaPart MakeGiaPart(GiaAnswers a, const GiaTableOptions& options) {
  GiaPart part;
  part.model = a.model;
  part.nulls = a.nulls;
  const std::vector<Effect> kmers = KmerEffects(a);
  for (size_t i = 0; i < kmers.size() && i < static_cast<size_t>(options.top); ++i) {
    AppendRow(a.model, "kmer", "effect", kmers[i], options, &part.effects);
  }
  if (!kmers.empty()) part.kmers = KmersText(kmers, options);
  for (ExperimentResult& e : a.experiments) {
    LocalEffects& local = part.local.emplace_back(LocalEffects{e.name, {}, std::move(e.local)});
    for (const Effect& effect : e.effects) {
      local.labels.push_back(Letters(effect.label, options.dna));
      AppendRow(a.model, e.name, effect.control ? "control" : "effect", effect, options, &part.effects);
    }
    for (const Effect& effect : e.contrasts) AppendRow(a.model, e.name, "contrast", effect, options, &part.effects);
    for (const auto& [kind, of] : {std::pair("effect", &e.effects), std::pair("contrast", &e.contrasts)}) {
      for (const Effect& effect : *of) {
        part.answers.push_back({e.name, effect.control ? "control" : kind, Letters(effect.label, options.dna),
                                Letters(effect.pattern, options.dna), effect.summary.mean, effect.summary.sd});
      }
    }
  }
  part.trained_on = a.trained_on;
  part.position = a.position;
  part.kmer_means.resize(a.kmers.size());
  for (const KmerEffect& kmer : a.kmers) part.kmer_means[KmerNumber(kmer.kmer)] = kmer.effect;
  part.lines = LineRows(a);
  part.ratios = RatioRows(a);
  part.measured = MeasuredRows(a, options);
  part.pairing = PairingRows(a, options);
  part.summary = Summary(a, options);
  return part;
}

std::vector<std::string> GiaTablePaths(const std::string& folder) {
  std::vector<std::string> paths;
  for (const char* name : {"effects.tsv", "replicates.tsv", "lines.tsv", "ratios.tsv", "measured.tsv", "pairing.tsv",
                           "local.npz", "run.json"}) {
    paths.push_back(JoinPath(folder, name));
  }
  return paths;
}

absl::Status WriteGiaTables(const std::string& folder, const std::vector<GiaPart>& parts,
                            const GiaTableOptions& options) {
  std::error_code error;
  for (const std::string& path : GiaTablePaths(folder)) std::filesystem::remove(path, error);
  for (const auto& entry : std::filesystem::directory_iterator(JoinPath(folder, "kmers"), error)) {
    if (entry.path().extension() == ".tsv") std::filesystem::remove(entry.path(), error);
  }
  if (const std::string replicates = ReplicatesTable(parts, options); !replicates.empty()) {
    RB_RETURN_IF_ERROR(WriteFile(JoinPath(folder, "replicates.tsv"), replicates));
  }
  for (const GiaPart& part : parts) {
    if (part.kmers.empty()) continue;
    const std::string kmers = JoinPath(folder, "kmers");
    RB_RETURN_IF_ERROR(MakeFolder(kmers));
    RB_RETURN_IF_ERROR(WriteFile(JoinPath(kmers, part.model + ".tsv"), part.kmers));
  }
  RB_RETURN_IF_ERROR(WriteLocal(JoinPath(folder, "local.npz"), parts));
  RB_RETURN_IF_ERROR(WriteTable(JoinPath(folder, "lines.tsv"), kLinesHeader, parts, &GiaPart::lines));
  RB_RETURN_IF_ERROR(WriteTable(JoinPath(folder, "ratios.tsv"), kRatiosHeader, parts, &GiaPart::ratios));
  RB_RETURN_IF_ERROR(WriteTable(JoinPath(folder, "measured.tsv"), kMeasuredHeader, parts, &GiaPart::measured));
  RB_RETURN_IF_ERROR(WriteTable(JoinPath(folder, "pairing.tsv"), kPairingHeader, parts, &GiaPart::pairing));
  return WriteTable(JoinPath(folder, "effects.tsv"), kEffectsHeader, parts, &GiaPart::effects);
}

}  // namespace rb::apps
