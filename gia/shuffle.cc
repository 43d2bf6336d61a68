#include "gia/shuffle.h"

#include <array>
#include <utility>
#include <vector>

#include "kernels/packed_bases.h"

namespace rb {
namespace {

// Fisher-Yates: swap(i, j) for i from the back, j in [0, i].
template <class Swap>
void ShuffleBy(size_t n, PhiloxStream& stream, const Swap& swap) {
  for (size_t i = n; i > 1; --i) swap(i - 1, stream.Below(static_cast<uint32_t>(i)));
}

using Exits = std::array<std::vector<uint8_t>, 4>;  // [base] -> the bases that follow it, one entry an occurrence

// Moves to the back of each base's exits (but the last base's, where the walk ends) the one it is left by for the last
// time. These exits must form a tree towards `last`, or some exits would be out of reach; a uniform tree by Wilson's
// loop-erased walks makes the Eulerian walk uniform.
void ChooseLastExits(uint8_t last, PhiloxStream& stream, Exits* exits) {
  std::array<bool, 4> in_tree{};
  in_tree[last] = true;
  for (uint8_t start = 0; start < 4; ++start) {
    if ((*exits)[start].empty()) continue;
    std::array<uint32_t, 4> chosen{};
    // A later visit overwrites the choice of an earlier one, which erases the loop between them.
    for (uint8_t at = start; !in_tree[at]; at = (*exits)[at][chosen[at]]) {
      chosen[at] = stream.Below(static_cast<uint32_t>((*exits)[at].size()));
    }
    for (uint8_t at = start; !in_tree[at];) {
      std::vector<uint8_t>& own = (*exits)[at];
      const uint8_t next = own[chosen[at]];
      in_tree[at] = true;
      std::swap(own[chosen[at]], own.back());
      at = next;
    }
  }
}

// One stretch of known bases.
void ShuffleStretch(std::span<uint8_t> codes, PhiloxStream& stream) {
  if (codes.size() < 4) return;  // first and last base are fixed: with less than two between them nothing can move
  Exits exits;
  for (size_t i = 0; i + 1 < codes.size(); ++i) exits[codes[i]].push_back(codes[i + 1]);
  const uint8_t last = codes.back();
  ChooseLastExits(last, stream, &exits);
  for (uint8_t base = 0; base < 4; ++base) {
    std::vector<uint8_t>& own = exits[base];
    const size_t movable = base == last || own.empty() ? own.size() : own.size() - 1;
    ShuffleBy(movable, stream, [&](size_t i, size_t j) { std::swap(own[i], own[j]); });
  }
  std::array<size_t, 4> used{};
  for (size_t i = 0; i + 1 < codes.size(); ++i) codes[i + 1] = exits[codes[i]][used[codes[i]]++];
}

}  // namespace

void ShuffleBases(std::span<uint8_t> codes, PhiloxStream& stream) {
  std::vector<size_t> known;
  for (size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] < kUnknownBase) known.push_back(i);
  }
  ShuffleBy(known.size(), stream, [&](size_t i, size_t j) { std::swap(codes[known[i]], codes[known[j]]); });
}

void ShuffleDinucleotides(std::span<uint8_t> codes, PhiloxStream& stream) {
  for (size_t first = 0; first < codes.size();) {
    size_t end = first;
    while (end < codes.size() && codes[end] < kUnknownBase) ++end;
    ShuffleStretch(codes.subspan(first, end - first), stream);
    first = end + 1;
  }
}

}  // namespace rb
