// Sequences as the machines hold them: 2 bits a base and a mask of known positions.
//
// One sequence of `length` positions takes PackedWords(length) 32-bit words: ceil(L/16) code words (position p in bits
// 2*(p%16) of word p/16; A 0, C 1, G 2, U 3) and then ceil(L/32) words of known bits (position p in bit p%32). A padded
// position or an N has its known bit clear and code 0; it contributes nothing to layer 1. 41 positions: 20 bytes.
#ifndef RB_KERNELS_PACKED_BASES_H_
#define RB_KERNELS_PACKED_BASES_H_

#include <cstdint>

#include "kernels/host_device.h"

namespace rb {

inline constexpr uint8_t kUnknownBase = 4;

RB_HOST_DEVICE constexpr int CodeWords(int length) { return (length + 15) / 16; }
RB_HOST_DEVICE constexpr int KnownWords(int length) { return (length + 31) / 32; }
RB_HOST_DEVICE constexpr int PackedWords(int length) { return CodeWords(length) + KnownWords(length); }

// codes[length], each 0..3 or kUnknownBase -> words[PackedWords(length)], all overwritten.
inline void PackBases(const uint8_t* codes, int length, uint32_t* words) {
  for (int i = 0; i < PackedWords(length); ++i) words[i] = 0;
  uint32_t* known = words + CodeWords(length);
  for (int p = 0; p < length; ++p) {
    if (codes[p] >= kUnknownBase) continue;
    words[p / 16] |= static_cast<uint32_t>(codes[p]) << (2 * (p % 16));
    known[p / 32] |= 1u << (p % 32);
  }
}

// The base at position p: 0..3, or kUnknownBase.
RB_HOST_DEVICE inline uint8_t BaseAt(const uint32_t* words, int length, int p) {
  const bool known = words[CodeWords(length) + p / 32] >> (p % 32) & 1u;
  return known ? static_cast<uint8_t>(words[p / 16] >> (2 * (p % 16)) & 3u) : kUnknownBase;
}

// Writes base 0..3 at position p, known from then on.
RB_HOST_DEVICE inline void SetBase(uint32_t* words, int length, int p, uint32_t code) {
  const int shift = 2 * (p % 16);
  words[p / 16] = (words[p / 16] & ~(3u << shift)) | code << shift;
  words[CodeWords(length) + p / 32] |= 1u << (p % 32);
}

// Letter i of k-mer number `kmer`, the first being the most significant: number 0 is AAA.., in alphabetical order.
RB_HOST_DEVICE constexpr uint32_t KmerCode(int64_t kmer, int k, int i) {
  return static_cast<uint32_t>(kmer >> (2 * (k - 1 - i))) & 3u;
}

// Writes k-mer number `kmer` at `position`.
inline void WriteKmer(uint32_t* words, int length, int64_t kmer, int k, int position) {
  for (int i = 0; i < k; ++i) SetBase(words, length, position + i, KmerCode(kmer, k, i));
}

inline void UnpackBases(const uint32_t* words, int length, uint8_t* codes) {
  for (int p = 0; p < length; ++p) codes[p] = BaseAt(words, length, p);
}

}  // namespace rb

#endif  // RB_KERNELS_PACKED_BASES_H_
