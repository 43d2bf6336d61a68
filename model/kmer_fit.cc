#include "model/kmer_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/check.h"

namespace rb {
namespace {

constexpr double kPenalties[] = {10000, 3000, 1000, 300, 100, 30, 10, 3, 1, 0.3, 0.1, 0.03};
constexpr double kTolerance = 1e-10;
constexpr int kMostIterations = 20000;
constexpr int64_t kTasks = 64;  // pieces of a pass; each writes its own outputs

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Runs f(i) for i in [0, n), in kTasks pieces.
template <class F>
void ForEach(int64_t n, Parallel& parallel, const F& f) {
  parallel.Run(kTasks, [&](int64_t task, int) {
    for (int64_t i = n * task / kTasks; i < n * (task + 1) / kTasks; ++i) f(i);
  });
}

// A list of lists.
struct Lists {
  std::vector<int64_t> begin;  // [lists + 1]
  std::vector<int32_t> items;
};

double SumOver(const Lists& lists, int64_t list, const std::vector<double>& values) {
  double sum = 0;
  for (int64_t j = lists.begin[list]; j < lists.begin[list + 1]; ++j) sum += values[lists.items[j]];
  return sum;
}

// Counts by probe and by k-mer; a k-mer that a probe has twice stands there twice.
class Design {
 public:
  Design(const Sequences& sequences, std::span<const int32_t> rows, int k, Parallel& parallel) : parallel_(parallel) {
    by_probe_.begin.push_back(0);
    by_kmer_.begin.assign((size_t{1} << (2 * k)) + 1, 0);
    std::vector<int32_t> numbers(static_cast<size_t>(sequences.length));
    for (const int32_t row : rows) {
      const int count = KmersOf(sequences.packed(row), sequences.length, k, numbers.data());
      by_probe_.items.insert(by_probe_.items.end(), numbers.begin(), numbers.begin() + count);
      by_probe_.begin.push_back(std::ssize(by_probe_.items));
    }
    for (const int32_t kmer : by_probe_.items) ++by_kmer_.begin[static_cast<size_t>(kmer) + 1];
    std::partial_sum(by_kmer_.begin.begin(), by_kmer_.begin.end(), by_kmer_.begin.begin());
    by_kmer_.items.resize(by_probe_.items.size());
    std::vector<int64_t> next = by_kmer_.begin;
    for (int64_t probe = 0; probe < probes(); ++probe) {
      for (int64_t j = by_probe_.begin[probe]; j < by_probe_.begin[probe + 1]; ++j) {
        by_kmer_.items[next[by_probe_.items[j]]++] = static_cast<int32_t>(probe);
      }
    }
  }

  int64_t probes() const { return std::ssize(by_probe_.begin) - 1; }
  int64_t kmers() const { return std::ssize(by_kmer_.begin) - 1; }
  bool empty() const { return by_probe_.items.empty(); }
  // How often k-mer m occurs.
  double Occurrences(int64_t m) const { return static_cast<double>(by_kmer_.begin[m + 1] - by_kmer_.begin[m]); }

  // out = X v without its mean.
  void Centred(const std::vector<double>& v, std::vector<double>& out) const {
    ForEach(probes(), parallel_, [&](int64_t i) { out[i] = SumOver(by_probe_, i, v); });
    SubtractMean(out);
  }
  // out = X'u
  void Transposed(const std::vector<double>& u, std::vector<double>& out) const {
    ForEach(kmers(), parallel_, [&](int64_t m) { out[m] = SumOver(by_kmer_, m, u); });
  }
  static double SubtractMean(std::vector<double>& values) {
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    for (double& value : values) value -= mean;
    return mean;
  }

 private:
  Parallel& parallel_;
  Lists by_probe_, by_kmer_;
};

// Goes on from w towards (Xc'Xc + penalty I) w = right, Xc being X with centred columns: Xc'Xc v = X'(X v - its mean).
KmerTrial Solve(const Design& design, const std::vector<double>& right, double penalty, std::vector<double>& w) {
  KmerTrial trial;
  trial.penalty = penalty;
  const double size = std::sqrt(Dot(right, right));
  if (size == 0) {
    std::fill(w.begin(), w.end(), 0.0);
    return trial;
  }
  std::vector<double> counts(static_cast<size_t>(design.probes())), applied(w.size());
  const auto apply = [&](const std::vector<double>& v) {
    design.Centred(v, counts);
    design.Transposed(counts, applied);
    for (size_t m = 0; m < v.size(); ++m) applied[m] += penalty * v[m];
  };
  apply(w);
  std::vector<double> r(w.size());
  for (size_t m = 0; m < r.size(); ++m) r[m] = right[m] - applied[m];
  std::vector<double> p = r;
  double rr = Dot(r, r);
  while (std::sqrt(rr) > kTolerance * size && trial.iterations < kMostIterations) {
    apply(p);
    const double step = rr / Dot(p, applied);
    for (size_t m = 0; m < w.size(); ++m) {
      w[m] += step * p[m];
      r[m] -= step * applied[m];
    }
    const double before = rr;
    rr = Dot(r, r);
    for (size_t m = 0; m < p.size(); ++m) p[m] = r[m] + rr / before * p[m];
    ++trial.iterations;
  }
  apply(w);  // the residual as it is, not as it was carried along
  for (size_t m = 0; m < r.size(); ++m) r[m] = right[m] - applied[m];
  trial.residual = std::sqrt(Dot(r, r)) / size;
  return trial;
}

}  // namespace

std::span<const double> KmerPenalties() { return kPenalties; }

absl::StatusOr<KmerFit> FitKmers(const BaselineData& data, int k, std::span<const double> penalties,
                                 Parallel& parallel) {
  RB_CHECK(k >= kMinRegressionKmer && k <= kMaxRegressionKmer && !penalties.empty());
  const Design design(data.sequences, data.train, k, parallel);
  if (design.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("none of ", data.train.size(), " training probes has a ", k,
                                                   "-mer of known letters; expected some"));
  }
  std::vector<double> y(data.train_targets.begin(), data.train_targets.end());
  const double mean = Design::SubtractMean(y);
  std::vector<double> right(static_cast<size_t>(design.kmers())), w(right.size(), 0.0);
  design.Transposed(y, right);
  KmerFit fit;
  double best = -2;
  for (const double penalty : penalties) {
    RB_CHECK(penalty > 0);
    fit.trials.push_back(Solve(design, right, penalty, w));
    KmerTrial& trial = fit.trials.back();
    if (!(trial.residual <= 10 * kTolerance)) {
      return absl::InternalError(absl::StrCat("penalty ", penalty, ": the weights have a residual of ", trial.residual,
                                              " after ", trial.iterations, " steps; expected ", kTolerance));
    }
    Baseline model;
    model.kind = ModelKind::kKmer;
    model.k = k;
    model.penalty = penalty;
    model.weights.assign(w.begin(), w.end());
    double offset = 0;  // sum of a probe's weights, on average
    for (int64_t m = 0; m < design.kmers(); ++m) offset += design.Occurrences(m) * w[m];
    model.intercept = static_cast<float>(mean - offset / static_cast<double>(design.probes()));
    RB_ASSIGN_OR_RETURN(trial.valid_pearson, ValidPearson(model, data));
    if (!(trial.valid_pearson > best)) continue;
    best = trial.valid_pearson;
    fit.best = fit.trials.size() - 1;
    fit.model = std::move(model);
  }
  if (fit.model.kind == ModelKind::kKmer) return fit;
  return absl::InvalidArgumentError(
      "every penalty predicts the same for all validation probes; expected training scores that differ, and k-mers of "
      "known letters in both parts");
}

}  // namespace rb
