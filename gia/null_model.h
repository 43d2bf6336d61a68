// Null models: the sequences in which global importance is measured [Koo 2021, Methods: Global importance analysis].
// I(phi, i) = mean over n of f(x_n with phi at i) - f(x_n); this file makes the x_n.
#ifndef RB_GIA_NULL_MODEL_H_
#define RB_GIA_NULL_MODEL_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "kernels/profile_draws.h"

namespace rb {

enum class NullKind : uint8_t {
  kProfile,       // positions drawn independently from the training profile; full length, never padded
  kShuffle,       // a training sequence, its bases in random order
  kDinucleotide,  // a training sequence, shuffled with exactly its counts of neighbouring pairs
  kQuartile1,     // a real sequence from the quarter with the highest measured scores
  kQuartile2,
  kQuartile3,
  kQuartile4,  // .. the lowest
  kFile,       // the sequences of a file, in its order
};

// profile | shuffle | dinucleotide | quartile1 .. quartile4; nullopt for anything else, which the command line takes
// for a file's path.
std::optional<NullKind> FindNullKind(std::string_view name);
std::string_view NullKindName(NullKind kind);  // "file" for kFile

inline constexpr int64_t kMaxNullSequences = 1'000'000;
// The filter's percentiles are those of the first so many draws (of all, where there are fewer). The number does not
// depend on n, so that more sequences extend fewer under a filter too.
inline constexpr int64_t kNullPool = 1000;

struct NullOptions {
  NullKind kind = NullKind::kProfile;
  int64_t n = 1000;  // 1 to kMaxNullSequences
  uint64_t seed = 0;
  uint64_t id = 0;  // StableId(experiment, replicate)
  // Only sequences whose score lies between these percentiles of the pool's scores are kept, bounds included. 0 and
  // 100 bound nothing: with both, nothing is scored.
  double filter_low = 0, filter_high = 100;
};

// What the kinds are made from; each reads only its own members, and only during the call.
struct NullSources {
  int length = 41;                       // L, the model's
  std::span<const float> profile;        // kProfile: [length][4] frequencies
  const Sequences* sequences = nullptr;  // shuffles and quartiles: the data set's
  std::span<const int32_t> rows;         // of `sequences`: the training rows for shuffles, those to rank for quartiles
  std::span<const float> scores;    // quartiles: [sequences->size()] measured scores of the experiment, NaN missing
  const Sequences* file = nullptr;  // kFile
};

// One finite score a sequence, the same whatever sequences are scored beside it (Predictor::Predict for instance).
using ScoreFunction = std::function<absl::StatusOr<std::vector<float>>(const Sequences&)>;

struct NullSet {
  Sequences sequences;                  // [n], no ids and no structure tracks: a null's tracks are folded anew
  std::vector<int64_t> draws;           // [n], the number of each sequence among all draws; 0, 1, .. without a filter
  int64_t scored = 0;                   // sequences that went through the filter, 0 without one
  std::optional<DrawnSequences> drawn;  // kProfile without a filter
  double low = 0, high = 0;             // the filter's bounds as scores; -inf and inf where a percentile bounds nothing
};

// The first n sequences, in the order they are drawn, that pass the filter. Draw i is a function of (sources, seed, id,
// i) alone. Shuffles and quartiles take the rows in a Feistel permutation keyed by (seed, kNullModel, id), none twice
// before all were taken (quartiles never twice); shuffles are drawn under (seed, kShuffle, id). Padding stays padding,
// an N stays an N. Quartile q of m scored rows holds ranks floor((q-1) m/4) to floor(q m/4) - 1, highest score first,
// ties by row.
//
// InvalidArgument: options out of range, lengths that differ, a profile without usable frequencies, no rows, fewer
// sequences than n, or fewer that pass the filter (the message says how many there were). Errors of `score` are passed
// on; Internal when it returns another number of scores, InvalidArgument when one is not finite.
absl::StatusOr<NullSet> DrawNulls(const NullOptions& options, const NullSources& sources,
                                  const ScoreFunction& score = {});

}  // namespace rb

#endif  // RB_GIA_NULL_MODEL_H_
