#include "gia/motif_match.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <tuple>

#include "data/line_reader.h"
#include "data/text.h"
#include "engine/check.h"
#include "gia/statistics.h"

namespace rb {
namespace {

using Column = std::array<double, 4>;

absl::Status CheckMotif(const Pwm& pwm, std::string_view role) {
  if (pwm.columns.empty() || pwm.columns.size() > static_cast<size_t>(kMaxMatchColumns)) {
    return absl::InvalidArgumentError(
        Concat(role, " ", Quoted(pwm.name), " has ", pwm.columns.size(), " columns; expected 1 to ", kMaxMatchColumns));
  }
  for (size_t p = 0; p < pwm.columns.size(); ++p) {
    for (const double x : pwm.columns[p]) {
      if (std::isfinite(x)) continue;
      return absl::InvalidArgumentError(
          Concat(role, " ", Quoted(pwm.name), " has the value ", x, " at position ", p, "; expected probabilities"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckInput(const Pwm& query, std::span<const Pwm> targets, const MatchOptions& options) {
  if (options.min_overlap < 1) {
    return absl::InvalidArgumentError(Concat("the least overlap is ", options.min_overlap, "; expected 1 or more"));
  }
  if (options.bins < 10 || options.bins > 1000) {
    return absl::InvalidArgumentError(Concat(options.bins, " bins; expected 10 to 1000"));
  }
  if (targets.empty()) return absl::InvalidArgumentError("no target motifs; expected at least one");
  RB_RETURN_IF_ERROR(CheckMotif(query, "the query"));
  for (const Pwm& target : targets) RB_RETURN_IF_ERROR(CheckMotif(target, "the target"));
  return absl::OkStatus();
}

// All targets' columns, strand after strand, and where each begins.
struct Strand {
  int target = 0;
  bool reverse = false;
  size_t first = 0;  // index of its first column
  int width = 0;
};

struct TargetColumns {
  std::vector<Column> columns;
  std::vector<Strand> strands;
};

TargetColumns Collect(std::span<const Pwm> targets, bool reverse_complement) {
  TargetColumns all;
  for (size_t t = 0; t < targets.size(); ++t) {
    const auto& columns = targets[t].columns;
    for (int strand = 0; strand < (reverse_complement ? 2 : 1); ++strand) {
      all.strands.push_back({static_cast<int>(t), strand == 1, all.columns.size(), static_cast<int>(columns.size())});
      if (strand == 0) {
        all.columns.insert(all.columns.end(), columns.begin(), columns.end());
        continue;
      }
      // Backwards, and A for U, C for G.
      for (auto c = columns.rbegin(); c != columns.rend(); ++c)
        all.columns.push_back({(*c)[3], (*c)[2], (*c)[1], (*c)[0]});
    }
  }
  return all;
}

// Scores of every query column with every target column, and their steps of 0 .. bins.
struct ScoreTable {
  size_t targets = 0;  // target columns
  std::vector<double> scores;
  std::vector<int> steps;

  double score(int q, size_t t) const { return scores[q * targets + t]; }
  int step(int q, size_t t) const { return steps[q * targets + t]; }
};

ScoreTable MakeScores(const Pwm& query, const std::vector<Column>& targets, const MatchOptions& options) {
  ScoreTable table;
  table.targets = targets.size();
  for (const Column& q : query.columns) {
    for (const Column& t : targets) table.scores.push_back(ScoreColumns(q, t, options.score));
  }
  const auto [low, high] = std::minmax_element(table.scores.begin(), table.scores.end());
  const double range = *high - *low;
  for (const double score : table.scores) {
    table.steps.push_back(range > 0 ? static_cast<int>(std::lround((score - *low) / range * options.bins)) : 0);
  }
  return table;
}

// tails[m][v]: probability that the steps of query columns first .. first+m-1 add up to v or more.
using Tails = std::vector<std::vector<double>>;

Tails MakeTails(const ScoreTable& table, int first, int longest, int bins) {
  Tails tails(1, {1.0});
  std::vector<double> density = {1.0};
  const double share = 1 / static_cast<double>(table.targets);
  for (int m = 1; m <= longest; ++m) {
    std::vector<int64_t> counts(bins + 1, 0);
    for (size_t t = 0; t < table.targets; ++t) ++counts[table.step(first + m - 1, t)];
    std::vector<double> next(density.size() + bins, 0.0);
    for (int step = 0; step <= bins; ++step) {
      if (counts[step] == 0) continue;
      const double probability = static_cast<double>(counts[step]) * share;
      for (size_t v = 0; v < density.size(); ++v) next[v + step] += density[v] * probability;
    }
    density = std::move(next);
    // From the far end, so that small tails keep their digits.
    std::vector<double> tail(density.size());
    double sum = 0;
    for (size_t v = density.size(); v-- > 0;) tail[v] = std::min(1.0, sum += density[v]);
    tails.push_back(std::move(tail));
  }
  return tails;
}

// Equal chances come out of different convolutions, so p counts to nine digits here.
bool Better(const MotifMatch& a, const MotifMatch& b) {
  const auto rank = [](const MotifMatch& m) {
    return std::make_tuple(std::round(std::log(m.p) * 1e9), -m.overlap, m.reverse, std::abs(m.offset), m.offset);
  };
  return rank(a) < rank(b);
}

// The query laid over one strand at one offset; p not yet corrected.
MotifMatch Place(const ScoreTable& table, const Strand& strand, int offset, int query_width, const Tails& tails) {
  MotifMatch match;
  match.target = strand.target;
  match.reverse = strand.reverse;
  match.offset = offset;
  const int first = std::max(0, -offset), at = std::max(0, offset);
  match.overlap = std::min(query_width - first, strand.width - at);
  int steps = 0;
  for (int i = 0; i < match.overlap; ++i) {
    match.score += table.score(first + i, strand.first + at + i);
    steps += table.step(first + i, strand.first + at + i);
  }
  match.p = tails[match.overlap][steps];
  return match;
}

}  // namespace

double ScoreColumns(const Column& a, const Column& b, ColumnScore score) {
  if (score == ColumnScore::kEuclidean) {
    double sum = 0;
    for (int x = 0; x < 4; ++x) sum += (a[x] - b[x]) * (a[x] - b[x]);
    return -std::sqrt(sum);
  }
  const double mean_a = (a[0] + a[1] + a[2] + a[3]) / 4, mean_b = (b[0] + b[1] + b[2] + b[3]) / 4;
  double aa = 0, bb = 0, ab = 0;
  for (int x = 0; x < 4; ++x) {
    aa += (a[x] - mean_a) * (a[x] - mean_a);
    bb += (b[x] - mean_b) * (b[x] - mean_b);
    ab += (a[x] - mean_a) * (b[x] - mean_b);
  }
  // Probabilities that differ by rounding alone are uniform.
  constexpr double kUniform = 1e-20;
  return aa <= kUniform || bb <= kUniform ? 0 : std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0);
}

absl::StatusOr<std::vector<MotifMatch>> MatchMotif(const Pwm& query, std::span<const Pwm> targets,
                                                   const MatchOptions& options) {
  RB_RETURN_IF_ERROR(CheckInput(query, targets, options));
  const TargetColumns all = Collect(targets, options.reverse_complement);
  const ScoreTable table = MakeScores(query, all.columns, options);
  const int width = static_cast<int>(query.columns.size());
  int widest = 0;
  for (const Strand& strand : all.strands) widest = std::max(widest, strand.width);

  std::vector<MotifMatch> best(targets.size());
  for (MotifMatch& match : best) match.p = std::numeric_limits<double>::infinity();
  for (int first = 0; first < width; ++first) {  // the query's first column in the overlap
    const Tails tails = MakeTails(table, first, std::min(width - first, widest), options.bins);
    for (const Strand& strand : all.strands) {
      const int least = std::min({options.min_overlap, width, strand.width});
      if (width - first < least) continue;
      const int last_offset = first > 0 ? -first : strand.width - least;
      for (int offset = -first; offset <= last_offset; ++offset) {
        const MotifMatch match = Place(table, strand, offset, width, tails);
        if (Better(match, best[strand.target])) best[strand.target] = match;
      }
    }
  }
  std::vector<double> p;
  for (MotifMatch& match : best) {
    const int target = static_cast<int>(targets[match.target].columns.size());
    const int least = std::min({options.min_overlap, width, target});
    const double offsets = (options.reverse_complement ? 2.0 : 1.0) * (width + target - 2 * least + 1);
    match.p = match.p < 1 ? -std::expm1(offsets * std::log1p(-match.p)) : 1;  // 1 - (1 - p)^offsets
    match.e = match.p * static_cast<double>(targets.size());
    p.push_back(match.p);
  }
  const std::vector<double> q = BenjaminiHochberg(p);
  for (size_t t = 0; t < best.size(); ++t) best[t].q = q[t];
  return best;
}

}  // namespace rb
