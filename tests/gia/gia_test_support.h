// Sequences and their letters for the tests of gia/.
#ifndef RB_TESTS_GIA_GIA_TEST_SUPPORT_H_
#define RB_TESTS_GIA_GIA_TEST_SUPPORT_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "data/alphabet.h"
#include "data/dataset.h"
#include "data/readers.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "tests/support/comparisons.h"

namespace rb::test {

// Texts centred in `length` positions.
inline Sequences Pack(const std::vector<std::string>& texts, int length) {
  Sequences sequences;
  sequences.length = length;
  sequences.bases.resize(texts.size() * PackedWords(length));
  for (size_t i = 0; i < texts.size(); ++i) {
    PackCentred(texts[i], length, sequences.bases.data() + i * PackedWords(length));
    sequences.widths.push_back(static_cast<uint16_t>(texts[i].size()));
  }
  return sequences;
}

// All positions of sequence i as letters; '.' where a base is unknown.
inline std::string Unpack(const Sequences& sequences, int64_t i) {
  std::string letters;
  for (int p = 0; p < sequences.length; ++p) {
    const uint8_t base = BaseAt(sequences.packed(i), sequences.length, p);
    letters += base == kUnknownBase ? '.' : kBaseLetters[base];
  }
  return letters;
}

inline std::vector<std::string> UnpackAll(const Sequences& sequences) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < sequences.size(); ++i) all.push_back(Unpack(sequences, i));
  return all;
}

// `n` texts of shortest to longest letters; one in ten sequences has an N.
inline std::vector<std::string> RandomTexts(int n, int shortest, int longest, uint64_t key) {
  std::vector<std::string> texts;
  for (int i = 0; i < n; ++i) {
    PhiloxStream stream(key, static_cast<uint64_t>(i));
    std::string text(shortest + stream.Below(static_cast<uint32_t>(longest - shortest + 1)), ' ');
    for (char& letter : text) letter = "ACGU"[stream.Below(4)];
    if (stream.Below(10) == 0) text[stream.Below(static_cast<uint32_t>(text.size()))] = 'N';
    texts.push_back(text);
  }
  return texts;
}

// One line that contains `part`.
inline void ExpectRefused(const absl::Status& status, const std::string& part,
                          absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const std::string message(status.message());
  ExpectEqual(status.code(), code, part + " | " + message);
  ExpectEqual(message.find(part) != std::string::npos, true, part + " | " + message);
  ExpectEqual(message.find('\n'), std::string::npos, message);
}

}  // namespace rb::test

#endif  // RB_TESTS_GIA_GIA_TEST_SUPPORT_H_
