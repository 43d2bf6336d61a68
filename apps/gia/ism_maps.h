// The arrays of attributions, channels first, as NumPy files hold them: of in-silico mutagenesis or of gradients.
#ifndef RB_APPS_GIA_ISM_MAPS_H_
#define RB_APPS_GIA_ISM_MAPS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/readers.h"
#include "gia/ism.h"
#include "gia/npz_writer.h"

namespace rb::apps {

enum class IsmMethod { kMutate, kGradient };

struct IsmOptions {
  IsmMethod method = IsmMethod::kMutate;
  int length = 41;                        // L, the model's positions
  int structure = 0;                      // S, the model's structure channels (gradient)
  int order = 1;                          // 2: pairs too (mutate)
  LogoHeight height = LogoHeight::kNorm;  // mutate; gradients have norms
  int64_t block = kIsmBlock;              // mutants scored at once
  bool dna = false;
};

// Positions of all arrays are the model's: a shorter sequence is centred, its first letter at starts[n].
struct IsmMaps {
  IsmOptions options;
  std::vector<std::string> names, sequences;  // [N]; the letters without padding
  std::vector<int64_t> starts;                // [N]
  std::vector<float> predictions;             // [N] f(wild)
  std::vector<float> one_hot;                 // [N][4][L], A C G U; zero at unknown and padded positions
  // [N][4][L] f(mutant) - f(wild); 0 at the wild type's letter (mutate)
  std::vector<float> effects;
  // [N][4][L] what tfmodisco-lite calls hypothetical attributions. mutate: effects minus their mean over a position's
  // letters; times one_hot, what the wild type's letter is worth beside an average one. gradient: the gradients.
  std::vector<float> hypothetical;
  std::vector<float> contributions;  // [N][4][L] gradients times one_hot (gradient)
  // [N][S][L] structure tracks, and the gradients by them (gradient). Gradients by letters hold the tracks fixed.
  std::vector<float> structure, structure_gradients;
  std::vector<float> heights;       // [N][L]
  std::vector<int64_t> pairs;       // [P][2] positions i < j (order 2)
  std::vector<float> pair_effects;  // [N][P][4][4] f(both) - f(wild), 0 where a letter is the wild type's (order 2)
  std::vector<float> interactions;  // [N][L][L] (order 2)
};

// Bytes of the maps of n sequences.
double IsmBytes(int64_t n, const IsmOptions& options);

// What the maps are made of. For method gradient only: gradients [N][L][4+S] of all sequences, in their order, and what
// gives sequences their structure tracks.
struct IsmSources {
  SequenceScorer scorer, gradients;
  std::function<absl::Status(Sequences&)> add_tracks;
};

// `progress` hears how many sequences are done. InvalidArgument for a sequence longer than the model's input, or a
// name that is not UTF-8.
absl::StatusOr<IsmMaps> MakeIsmMaps(std::span<const NamedSequence> input, const IsmOptions& options,
                                    const IsmSources& sources, const std::function<void(int64_t)>& progress);

// The arrays by their names; the values stay those of `maps`.
std::vector<NamedArray> IsmArrays(const IsmMaps& maps);

}  // namespace rb::apps

#endif  // RB_APPS_GIA_ISM_MAPS_H_
