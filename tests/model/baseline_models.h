// Sequences and models for the tests of baselines, and the plainest way to see a sequence's windows.
#ifndef RB_TESTS_MODEL_BASELINE_MODELS_H_
#define RB_TESTS_MODEL_BASELINE_MODELS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "model/baseline.h"

namespace rb::test {

inline constexpr int kLength = 20;

// Short ones, some with N, one of N alone, one of a single letter.
inline Sequences HostileSequences(int n, uint64_t key) {
  Sequences sequences;
  sequences.length = kLength;
  PhiloxStream random(key);
  for (const char* text : {"NNNNNNNN", "A", "ACG", "ACGNUUU", "ACGUACGUACGUACGUACGU"}) sequences.AppendCentred(text);
  while (sequences.size() < n) {
    std::string letters(1 + random.Below(kLength), ' ');
    for (char& letter : letters) letter = random.Below(12) == 0 ? 'N' : "ACGU"[random.Below(4)];
    sequences.AppendCentred(letters);
  }
  return sequences;
}

inline std::vector<uint8_t> CodesOf(const Sequences& sequences, int64_t i) {
  std::vector<uint8_t> codes(kLength);
  UnpackBases(sequences.packed(i), kLength, codes.data());
  return codes;
}

// All windows of known letters, by the plainest of loops.
inline std::vector<std::vector<uint8_t>> WindowsOf(const Sequences& sequences, int64_t i, int width) {
  const std::vector<uint8_t> codes = CodesOf(sequences, i);
  std::vector<std::vector<uint8_t>> windows;
  for (int p = 0; p + width <= kLength; ++p) {
    std::vector<uint8_t> window(codes.begin() + p, codes.begin() + p + width);
    if (std::count(window.begin(), window.end(), kUnknownBase) == 0) windows.push_back(window);
  }
  return windows;
}

inline size_t Number(const std::vector<uint8_t>& window) {
  size_t number = 0;
  for (const uint8_t code : window) number = 4 * number + code;
  return number;
}

inline Baseline RandomKmerModel(int k, uint64_t key) {
  Baseline b;
  b.kind = ModelKind::kKmer;
  b.k = k;
  b.penalty = 30;
  PhiloxStream random(key);
  for (size_t m = 0; m < size_t{1} << (2 * k); ++m) b.weights.push_back(static_cast<float>(random.Uniform() - 0.5));
  b.intercept = 0.25f;
  return b;
}

inline Baseline RandomMatrix(int width, WindowScan scan, uint64_t key) {
  Baseline b;
  b.kind = ModelKind::kPwm;
  b.k = 7, b.top = 10;
  b.scan = scan;
  PhiloxStream random(key);
  for (int i = 0; i < 4 * width; ++i) b.weights.push_back(static_cast<float>(3 * random.Uniform() - 2));
  b.intercept = -0.5f, b.slope = 0.75f;
  return b;
}

inline std::vector<float> Scores(const Baseline& baseline, const Sequences& sequences) {
  std::vector<float> scores(static_cast<size_t>(sequences.size()), NAN);
  const auto scorer = NewBaselineScorer(baseline, sequences.length);
  EXPECT_TRUE(scorer->Score(sequences.bases.data(), nullptr, nullptr, sequences.size(), scores.data()).ok());
  return scores;
}

}  // namespace rb::test

#endif  // RB_TESTS_MODEL_BASELINE_MODELS_H_
