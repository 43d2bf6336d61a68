// Writes patterns into sequences [Koo 2021, Methods: Global importance analysis].
//
// Sequence `index` gets: (1) each stem, its 5' side drawn or kept and its 3' side the mirrored complement; (2) the
// elements in order, sets of bases and PWM columns drawn for each sequence; (3) each stem anew, so that the pairs of
// bases that an element changed hold again. Every draw is Philox of (key, index, number of the element or stem, its
// column or pair) alone: the hairpin null (StemsOf) has the same stem as the embedding, and an element draws the same
// bases whatever follows it.
#ifndef RB_GIA_EMBED_H_
#define RB_GIA_EMBED_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "gia/pattern.h"

namespace rb {

// In a stem with `wobble`: how often the partner of a G is U instead of C, and that of a U is G instead of A.
inline constexpr double kWobbleProbability = 0.2;

// Into words[PackedWords(embedding.length)] (kernels/packed_bases.h); positions written become known, wherever they
// are. An unknown base on a 5' side that is not drawn is drawn.
void EmbedInto(const Embedding& embedding, uint64_t key, uint64_t index, uint32_t* words);

// Patterns stand at positions of the padded frame, so a short sequence may have padding there. Such a sequence is left
// out, as a pattern in the padding would have no neighbours; with kWrite it is written nevertheless, and keeps its
// width. An N within a sequence is overwritten like a base.
enum class PaddingPolicy { kLeaveOut, kWrite };

struct EmbeddedPair {
  Sequences with;             // the nulls with the pattern
  Sequences without;          // the same nulls with the baseline; neither has ids or structure tracks
  std::vector<int64_t> rows;  // of each pair in the nulls, ascending
  int64_t left_out = 0;       // nulls that the pattern or the baseline would have given bases in their padding
};

// f(with) - f(without) of the pairs is the pattern's effect. baseline: StemsOf(pattern) for `paper`, which writes
// nothing without stems; any other embedding otherwise (`published`: stem@7-15:23-31 against stem@8-16:24-32). The
// nulls are not changed. key: DeriveKey(seed, Purpose::kPattern, id); index: the row in `nulls`. InvalidArgument:
// lengths that differ, or no sequence that is left.
absl::StatusOr<EmbeddedPair> EmbedPair(const Embedding& pattern, const Embedding& baseline, const Sequences& nulls,
                                       uint64_t key, PaddingPolicy policy = PaddingPolicy::kLeaveOut);

}  // namespace rb

#endif  // RB_GIA_EMBED_H_
