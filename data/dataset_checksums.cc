#include "data/dataset_checksums.h"

#include "data/sha256.h"
#include "data/text.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

// f(row) for all rows, in the files' order.
template <class F>
void ForRows(const Split& split, const F& f) {
  for (const auto* rows : {&split.train, &split.valid, &split.test}) {
    for (const int32_t row : *rows) f(row);
  }
}

std::string OfSequences(const Dataset& dataset, const Split& split) {
  const Sequences& s = dataset.sequences;
  Sha256 sum;
  sum.Add(Concat(s.length, " ", s.structure_channels, " ", s.TrackSource(), " ", dataset.transformed ? 1 : 0, " ",
                 split.train.size(), " ", split.valid.size(), " ", split.test.size(), "\n"));
  const size_t words = static_cast<size_t>(PackedWords(s.length));
  const size_t values = static_cast<size_t>(s.length) * static_cast<size_t>(s.structure_channels);
  ForRows(split, [&](int32_t row) {
    sum.Add(s.packed(row), words);
    if (values > 0) sum.Add(&s.tracks[static_cast<size_t>(row) * values], values);
  });
  return sum.Hex();
}

}  // namespace

std::vector<std::string> DatasetChecksums(const Dataset& dataset, const Split& split) {
  std::vector<std::string> sums = {OfSequences(dataset, split)};
  for (size_t e = 0; e < dataset.experiments.size(); ++e) {
    const std::span<const float> target = dataset.target(static_cast<int64_t>(e));
    Sha256 sum;
    sum.Add(dataset.experiments[e]);
    ForRows(split, [&](int32_t row) { sum.Add(&target[static_cast<size_t>(row)], 1); });
    sums.push_back(sum.Hex());
  }
  return sums;
}

}  // namespace rb
