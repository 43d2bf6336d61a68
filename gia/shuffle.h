// Shuffles of one sequence: the same letters, or the same pairs of neighbouring letters, in another order.
#ifndef RB_GIA_SHUFFLE_H_
#define RB_GIA_SHUFFLE_H_

#include <cstdint>
#include <span>

#include "kernels/philox.h"

namespace rb {

// codes: bases 0..3 or kUnknownBase, permuted in place; every unknown position (padding, N) stays unknown where it is.

// Any order of the known bases with the same probability.
void ShuffleBases(std::span<uint8_t> codes, PhiloxStream& stream);

// Any sequence with exactly the same counts of neighbouring pairs (and hence the same first and last base) with the
// same probability: an Eulerian walk whose last exits form a uniform random tree (Wilson's algorithm) and whose other
// exits are shuffled [Altschul and Erickson 1985; Kandel, Matias, Unger and Winkler 1996; Propp and Wilson 1998].
// Unknown positions cut the sequence: each stretch of known bases is shuffled within itself, as no pair spans an
// unknown one.
void ShuffleDinucleotides(std::span<uint8_t> codes, PhiloxStream& stream);

}  // namespace rb

#endif  // RB_GIA_SHUFFLE_H_
