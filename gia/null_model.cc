#include "gia/null_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "data/text.h"
#include "engine/check.h"
#include "gia/null_profile.h"
#include "gia/shuffle.h"
#include "kernels/feistel.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"

namespace rb {
namespace {

constexpr std::string_view kNames[] = {"profile",   "shuffle",   "dinucleotide", "quartile1",
                                       "quartile2", "quartile3", "quartile4",    "file"};
constexpr int64_t kEndless = std::numeric_limits<int64_t>::max();
// A filter over an endless null model gives up after so many times the draws it should need: one that is narrower than
// the pool's ranks, or than what the scores resolve, may find nothing more.
constexpr double kPatience = 20;

bool IsQuartile(NullKind kind) { return kind >= NullKind::kQuartile1 && kind <= NullKind::kQuartile4; }
bool IsShuffle(NullKind kind) { return kind == NullKind::kShuffle || kind == NullKind::kDinucleotide; }
bool Filters(const NullOptions& o) { return o.filter_low > 0 || o.filter_high < 100; }

absl::Status CheckOptions(const NullOptions& o) {
  if (o.n < 1 || o.n > kMaxNullSequences) {
    return absl::InvalidArgumentError(Concat(o.n, " null sequences; expected 1 to ", kMaxNullSequences));
  }
  if (!(o.filter_low >= 0 && o.filter_low < o.filter_high && o.filter_high <= 100)) {
    return absl::InvalidArgumentError(Concat("the null filter keeps scores from percentile ", o.filter_low, " to ",
                                             o.filter_high, "; expected 0 to 100, the lower one first"));
  }
  return absl::OkStatus();
}

// Rows of the wanted quarter by measured score, the quarter's highest first.
std::vector<int32_t> QuartileRows(const NullSources& sources, int quartile) {
  std::vector<int32_t> rows;
  std::copy_if(sources.rows.begin(), sources.rows.end(), std::back_inserter(rows),
               [&](int32_t row) { return !std::isnan(sources.scores[static_cast<size_t>(row)]); });
  std::sort(rows.begin(), rows.end(), [&](int32_t a, int32_t b) {
    const float score_a = sources.scores[static_cast<size_t>(a)], score_b = sources.scores[static_cast<size_t>(b)];
    return score_a != score_b ? score_a > score_b : a < b;
  });
  const size_t m = rows.size(), q = static_cast<size_t>(quartile);
  return {rows.begin() + static_cast<ptrdiff_t>((q - 1) * m / 4), rows.begin() + static_cast<ptrdiff_t>(q * m / 4)};
}

// All draws of a null model, by number.
class Draws {
 public:
  static absl::StatusOr<Draws> Create(const NullOptions& options, const NullSources& sources) {
    Draws draws(options, sources);
    if (options.kind == NullKind::kProfile) return draws;
    const Sequences* from = options.kind == NullKind::kFile ? sources.file : sources.sequences;
    RB_CHECK(from != nullptr);
    if (from->length != sources.length) {
      return absl::InvalidArgumentError(Concat("sequences for the null model ", NullKindName(options.kind), " have ",
                                               from->length, " positions; expected the model's ", sources.length));
    }
    draws.from_ = from;
    if (options.kind == NullKind::kFile) {
      draws.rows_.resize(static_cast<size_t>(from->size()));
      std::iota(draws.rows_.begin(), draws.rows_.end(), 0);
    } else if (IsShuffle(options.kind)) {
      draws.rows_.assign(sources.rows.begin(), sources.rows.end());
    } else {
      RB_CHECK(sources.scores.size() == static_cast<size_t>(from->size()));
      const int quartile = 1 + static_cast<int>(options.kind) - static_cast<int>(NullKind::kQuartile1);
      draws.rows_ = QuartileRows(sources, quartile);
    }
    if (draws.rows_.empty()) {
      return absl::InvalidArgumentError(Concat("the null model ", NullKindName(options.kind),
                                               " has no sequences to draw from; expected some",
                                               IsQuartile(options.kind) ? " with a measured score" : ""));
    }
    return draws;
  }

  uint64_t key() const { return DeriveKey(options_.seed, Purpose::kNullModel, options_.id); }
  int64_t available() const {
    return options_.kind == NullKind::kProfile || IsShuffle(options_.kind) ? kEndless
                                                                           : static_cast<int64_t>(rows_.size());
  }

  // kProfile: what the draws from the first on are made of.
  absl::StatusOr<DrawnSequences> Drawn() const {
    RB_ASSIGN_OR_RETURN(std::vector<uint64_t> thresholds, ProfileThresholds(sources_.profile, sources_.length));
    return DrawnSequences{std::move(thresholds), key(), 0};
  }

  // Draws first .. first + count - 1.
  absl::StatusOr<Sequences> Get(int64_t first, int64_t count) const {
    if (options_.kind == NullKind::kProfile) {
      return DrawProfileNulls(sources_.profile, sources_.length, count, key(), first);
    }
    Sequences result;
    result.length = sources_.length;
    const FeistelPermutation permutation(static_cast<uint32_t>(rows_.size()), key());
    for (int64_t i = first; i < first + count; ++i) {
      const uint32_t place = static_cast<uint32_t>(i % static_cast<int64_t>(rows_.size()));
      Append(rows_[options_.kind == NullKind::kFile ? place : permutation(place)], i, &result);
    }
    return result;
  }

 private:
  Draws(const NullOptions& options, const NullSources& sources) : options_(options), sources_(sources) {}

  void Append(int32_t row, int64_t number, Sequences* result) const {
    const int length = sources_.length;
    const uint32_t* words = from_->packed(row);
    result->Append(words, from_->widths[static_cast<size_t>(row)]);
    if (!IsShuffle(options_.kind)) return;
    std::vector<uint8_t> codes(static_cast<size_t>(length));
    UnpackBases(words, length, codes.data());
    PhiloxStream stream(DeriveKey(options_.seed, Purpose::kShuffle, options_.id), static_cast<uint64_t>(number));
    if (options_.kind == NullKind::kShuffle) {
      ShuffleBases(codes, stream);
    } else {
      ShuffleDinucleotides(codes, stream);
    }
    PackBases(codes.data(), length, result->bases.data() + result->bases.size() - PackedWords(length));
  }

  NullOptions options_;
  NullSources sources_;
  const Sequences* from_ = nullptr;
  std::vector<int32_t> rows_;
};

absl::StatusOr<std::vector<float>> Scores(const ScoreFunction& score, const Sequences& sequences, int64_t first) {
  RB_ASSIGN_OR_RETURN(std::vector<float> scores, score(sequences));
  if (scores.size() != static_cast<size_t>(sequences.size())) {
    return absl::InternalError(
        Concat(scores.size(), " scores of null sequences; expected one for each of ", sequences.size()));
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isfinite(scores[i])) continue;
    return absl::InvalidArgumentError(Concat("null sequence ", first + static_cast<int64_t>(i), " scores ", scores[i],
                                             "; expected a finite score to filter by"));
  }
  return scores;
}

// Linear interpolation between the ranks beside 1 + (n - 1) percent / 100. `sorted` is not empty.
double PercentileOf(const std::vector<float>& sorted, double percent) {
  const double at = static_cast<double>(sorted.size() - 1) * percent / 100;
  const size_t below = std::min(static_cast<size_t>(at), sorted.size() - 1);
  const double low = sorted[below], high = sorted[std::min(below + 1, sorted.size() - 1)];
  return low + (high - low) * (at - static_cast<double>(below));
}

void SetBounds(const NullOptions& options, std::vector<float> pool, NullSet* set) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  std::sort(pool.begin(), pool.end());
  set->low = options.filter_low > 0 ? PercentileOf(pool, options.filter_low) : -inf;
  set->high = options.filter_high < 100 ? PercentileOf(pool, options.filter_high) : inf;
}

absl::StatusOr<NullSet> DrawFiltered(const NullOptions& options, const Draws& draws, int length,
                                     const ScoreFunction& score) {
  RB_CHECK(score != nullptr);
  const double kept_share = (options.filter_high - options.filter_low) / 100;
  const double patience = static_cast<double>(kNullPool) + kPatience * static_cast<double>(options.n) / kept_share;
  const int64_t limit =
      patience < 1e15 ? std::min(draws.available(), static_cast<int64_t>(patience)) : draws.available();
  NullSet set;
  set.sequences.length = length;
  for (int64_t first = 0; first < limit && set.sequences.size() < options.n; first += kNullPool) {
    RB_ASSIGN_OR_RETURN(const Sequences block, draws.Get(first, std::min(kNullPool, limit - first)));
    RB_ASSIGN_OR_RETURN(const std::vector<float> scores, Scores(score, block, first));
    if (first == 0) SetBounds(options, scores, &set);
    for (int64_t i = 0; i < block.size() && set.sequences.size() < options.n; ++i) {
      ++set.scored;
      if (!(scores[static_cast<size_t>(i)] >= set.low && scores[static_cast<size_t>(i)] <= set.high)) continue;
      set.draws.push_back(first + i);
      set.sequences.Append(block.packed(i), block.widths[static_cast<size_t>(i)]);
    }
  }
  if (set.sequences.size() < options.n) {
    return absl::InvalidArgumentError(Concat(
        "the filter from percentile ", options.filter_low, " to ", options.filter_high, " kept ", set.sequences.size(),
        " of ", set.scored, " sequences of the null model ", NullKindName(options.kind), "; expected ", options.n));
  }
  return set;
}

}  // namespace

std::optional<NullKind> FindNullKind(std::string_view name) {
  for (const NullKind kind : {NullKind::kProfile, NullKind::kShuffle, NullKind::kDinucleotide, NullKind::kQuartile1,
                              NullKind::kQuartile2, NullKind::kQuartile3, NullKind::kQuartile4}) {
    if (name == NullKindName(kind)) return kind;
  }
  return std::nullopt;
}

std::string_view NullKindName(NullKind kind) { return kNames[static_cast<size_t>(kind)]; }

absl::StatusOr<NullSet> DrawNulls(const NullOptions& options, const NullSources& sources, const ScoreFunction& score) {
  RB_RETURN_IF_ERROR(CheckOptions(options));
  RB_ASSIGN_OR_RETURN(const Draws draws, Draws::Create(options, sources));
  if (Filters(options)) return DrawFiltered(options, draws, sources.length, score);
  if (draws.available() < options.n) {
    return absl::InvalidArgumentError(Concat("the null model ", NullKindName(options.kind), " has ", draws.available(),
                                             " sequences; expected ", options.n));
  }
  NullSet set;
  RB_ASSIGN_OR_RETURN(set.sequences, draws.Get(0, options.n));
  if (options.kind == NullKind::kProfile) {
    RB_ASSIGN_OR_RETURN(set.drawn, draws.Drawn());
  }
  set.draws.resize(static_cast<size_t>(options.n));
  std::iota(set.draws.begin(), set.draws.end(), int64_t{0});
  return set;
}

}  // namespace rb
