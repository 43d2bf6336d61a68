#include "gia/ism.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "data/text.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

struct Substitution {
  int position = 0;
  uint32_t letter = 0;  // 0..3
};

// Collects mutants, scores them block by block and writes each one's effect to its place.
class Mutants {
 public:
  Mutants(const Sequences& sequences, const SequenceScorer& scorer, int64_t block)
      : sequences_(sequences), scorer_(scorer), block_(block) {
    pending_.length = sequences.length;
    pending_.structure_channels = sequences.structure_channels;
  }

  // Predictions of the sequences first .. first+count-1 themselves.
  absl::StatusOr<std::vector<float>> Wild(int64_t first, int64_t count) {
    std::vector<float> wild;
    for (int64_t begin = first; begin < first + count; begin += block_) {
      for (int64_t row = begin; row < std::min(first + count, begin + block_); ++row) Copy(row);
      RB_ASSIGN_OR_RETURN(const std::vector<float> scores, Score());
      wild.insert(wild.end(), scores.begin(), scores.end());
    }
    return wild;
  }

  // Later *effect = f(row with the substitutions) - wild. `effect` must stay in place until Finish.
  absl::Status Add(int64_t row, std::span<const Substitution> substitutions, float wild, float* effect) {
    uint32_t* words = Copy(row);
    for (const Substitution& s : substitutions) {
      const int shift = 2 * (s.position % 16);
      words[s.position / 16] = (words[s.position / 16] & ~(3u << shift)) | s.letter << shift;
    }
    places_.push_back({effect, wild});
    return std::ssize(places_) < block_ ? absl::OkStatus() : Finish();
  }

  // Scores what is left.
  absl::Status Finish() {
    if (places_.empty()) return absl::OkStatus();
    RB_ASSIGN_OR_RETURN(const std::vector<float> scores, Score());
    for (size_t i = 0; i < scores.size(); ++i) *places_[i].first = scores[i] - places_[i].second;
    places_.clear();
    return absl::OkStatus();
  }

 private:
  // Appends sequence `row` to the pending ones; its words there.
  uint32_t* Copy(int64_t row) {
    const int64_t values = int64_t{sequences_.length} * sequences_.structure_channels;
    const auto tracks = sequences_.tracks.begin() + row * values;
    pending_.tracks.insert(pending_.tracks.end(), tracks, tracks + values);
    return pending_.Append(sequences_.packed(row), sequences_.widths[row]);
  }

  absl::StatusOr<std::vector<float>> Score() {
    RB_ASSIGN_OR_RETURN(std::vector<float> scores, scorer_(pending_));
    if (std::ssize(scores) != pending_.size()) {
      return absl::InternalError(
          Concat("the scorer returned ", scores.size(), " predictions; expected ", pending_.size()));
    }
    pending_.bases.clear();
    pending_.widths.clear();
    pending_.tracks.clear();
    return scores;
  }

  const Sequences& sequences_;
  const SequenceScorer& scorer_;
  int64_t block_;
  Sequences pending_;
  std::vector<std::pair<float*, float>>
      places_;  // where a pending mutant's effect goes, and its wild type's prediction
};

absl::Status CheckBlock(int64_t block) {
  if (block >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(Concat("blocks of ", block, " sequences; expected 1 or more"));
}

// Calls mutate(letter) for the three letters that differ from a known `wild`.
template <class Mutate>
absl::Status ForOtherLetters(uint8_t wild, const Mutate& mutate) {
  for (uint32_t letter = 0; letter < 4 && wild != kUnknownBase; ++letter) {
    if (letter != wild) RB_RETURN_IF_ERROR(mutate(letter));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SingleMutants> MutateSingles(const Sequences& sequences, const SequenceScorer& scorer, int64_t block) {
  RB_RETURN_IF_ERROR(CheckBlock(block));
  const int length = sequences.length;
  SingleMutants result;
  result.length = length;
  Mutants mutants(sequences, scorer, block);
  RB_ASSIGN_OR_RETURN(result.wild, mutants.Wild(0, sequences.size()));
  result.effects.assign(static_cast<size_t>(sequences.size()) * length * 4, 0.0f);
  for (int64_t row = 0; row < sequences.size(); ++row) {
    for (int p = 0; p < length; ++p) {
      float* at = result.effects.data() + (row * length + p) * 4;
      RB_RETURN_IF_ERROR(ForOtherLetters(BaseAt(sequences.packed(row), length, p), [&](uint32_t letter) {
        return mutants.Add(row, std::array{Substitution{p, letter}}, result.wild[row], at + letter);
      }));
    }
  }
  RB_RETURN_IF_ERROR(mutants.Finish());
  return result;
}

absl::StatusOr<DoubleMutants> MutatePairs(const Sequences& sequences, int64_t row, const SequenceScorer& scorer,
                                          int64_t block) {
  RB_RETURN_IF_ERROR(CheckBlock(block));
  if (row < 0 || row >= sequences.size()) {
    return absl::InvalidArgumentError(Concat("sequence ", row, "; expected 0 to ", sequences.size() - 1));
  }
  const int length = sequences.length;
  DoubleMutants result;
  result.length = length;
  Mutants mutants(sequences, scorer, block);
  RB_ASSIGN_OR_RETURN(const std::vector<float> wild, mutants.Wild(row, 1));
  result.wild = wild[0];
  result.effects.assign(static_cast<size_t>(NumPairs(length)) * 16, 0.0f);
  result.letters.resize(static_cast<size_t>(length));
  UnpackBases(sequences.packed(row), length, result.letters.data());
  for (int i = 0; i < length; ++i) {
    for (int j = i + 1; j < length; ++j) {
      float* at = result.effects.data() + PairIndex(i, j, length) * 16;
      RB_RETURN_IF_ERROR(ForOtherLetters(result.letters[i], [&](uint32_t a) {
        return ForOtherLetters(result.letters[j], [&](uint32_t b) {
          return mutants.Add(row, std::array{Substitution{i, a}, Substitution{j, b}}, result.wild, at + 4 * a + b);
        });
      }));
    }
  }
  RB_RETURN_IF_ERROR(mutants.Finish());
  return result;
}

std::vector<double> PairInteractions(const DoubleMutants& pairs, std::span<const float> singles) {
  const int length = pairs.length;
  RB_CHECK(std::ssize(singles) == int64_t{length} * 4);
  std::vector<double> interactions(static_cast<size_t>(length) * length, 0.0);
  for (int i = 0; i < length; ++i) {
    for (int j = i + 1; j < length; ++j) {
      if (pairs.letters[i] == kUnknownBase || pairs.letters[j] == kUnknownBase) continue;
      const float* both = pairs.effects.data() + PairIndex(i, j, length) * 16;
      double sum = 0;
      for (int a = 0; a < 4; ++a) {
        for (int b = 0; b < 4; ++b) {
          if (a == pairs.letters[i] || b == pairs.letters[j]) continue;
          const double rest = static_cast<double>(both[4 * a + b]) - singles[4 * i + a] - singles[4 * j + b];
          sum += rest * rest;
        }
      }
      interactions[static_cast<size_t>(i) * length + j] = interactions[static_cast<size_t>(j) * length + i] =
          std::sqrt(sum);
    }
  }
  return interactions;
}

std::vector<double> LogoHeights(std::span<const float> effects, LogoHeight rule) {
  RB_CHECK(effects.size() % 4 == 0);
  std::vector<double> heights(effects.size() / 4);
  for (size_t p = 0; p < heights.size(); ++p) {
    double sum = 0;
    for (const float effect : effects.subspan(4 * p, 4)) sum += static_cast<double>(effect) * effect;
    heights[p] = rule == LogoHeight::kNorm ? std::sqrt(sum) : sum;
  }
  return heights;
}

}  // namespace rb
