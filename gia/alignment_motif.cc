#include "gia/alignment_motif.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "data/alphabet.h"
#include "data/line_reader.h"
#include "data/text.h"
#include "engine/check.h"

namespace rb {
namespace {

using Columns = std::vector<std::array<double, 4>>;

struct Coded {
  std::vector<uint8_t> codes;
  double weight = 0;
};

// Codes of all sequences, which must be equally long; N only where allowed.
absl::StatusOr<std::vector<Coded>> Encode(std::span<const WeightedSequence> sequences, bool unknown_allowed) {
  if (sequences.empty() || sequences[0].letters.empty()) {
    return absl::InvalidArgumentError("a motif of no letters; expected at least one sequence of one letter");
  }
  const size_t length = sequences[0].letters.size();
  std::vector<Coded> coded;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const WeightedSequence& s = sequences[i];
    const std::string where = Concat("sequence ", i + 1, " (", Quoted(s.letters), ")");
    if (s.letters.size() != length) {
      return absl::InvalidArgumentError(
          Concat(where, " has ", s.letters.size(), " letters; expected ", length, " as the first one has"));
    }
    if (!std::isfinite(s.weight)) {
      return absl::InvalidArgumentError(Concat(where, " has the weight ", s.weight, "; expected a finite number"));
    }
    Coded c{{}, s.weight};
    for (const char letter : s.letters) {
      const uint8_t code = BaseCode(letter);
      if (code == kBadBase || (code == kUnknownBase && !unknown_allowed)) {
        return absl::InvalidArgumentError(Concat(where, " has the letter ", Quoted(std::string_view(&letter, 1)),
                                                 "; expected A, C, G, U or T", unknown_allowed ? " or N" : ""));
      }
      c.codes.push_back(code);
    }
    coded.push_back(std::move(c));
  }
  return coded;
}

// Strongest first; among equals the order given.
void SortByWeight(std::vector<Coded>* kmers) {
  std::stable_sort(kmers->begin(), kmers->end(), [](const Coded& a, const Coded& b) { return a.weight > b.weight; });
}

double Total(const std::array<double, 4>& column) { return column[0] + column[1] + column[2] + column[3]; }

// Letters that agree when `other` is moved `shift` positions to the right of `top`.
int Matches(const Coded& top, const Coded& other, int shift) {
  const int k = static_cast<int>(top.codes.size());
  int matches = 0;
  for (int i = std::max(0, shift); i < std::min(k, k + shift); ++i) matches += top.codes[i] == other.codes[i - shift];
  return matches;
}

int BestShift(const Coded& top, const Coded& other, Preset preset) {
  const int k = static_cast<int>(top.codes.size());
  if (preset == Preset::kPublished) {
    int best = -k;
    for (int shift = -k; shift < k; ++shift) {
      if (Matches(top, other, shift) > Matches(top, other, best)) best = shift;
    }
    return best;
  }
  int best = 0;
  for (int distance = 1; distance < k; ++distance) {  // nearest first, left before right
    for (const int shift : {-distance, distance}) {
      if (Matches(top, other, shift) > Matches(top, other, best)) best = shift;
    }
  }
  return best;
}

Pwm Normalize(const Columns& sums) {
  Pwm pwm;
  for (const auto& column : sums) {
    const double total = Total(column);
    auto& out = pwm.columns.emplace_back(std::array<double, 4>{0.25, 0.25, 0.25, 0.25});
    for (int b = 0; total > 0 && b < 4; ++b) out[b] = column[b] / total;
  }
  return pwm;
}

// The authors' scaling of weights that may be negative.
void ScaleAsPublished(std::vector<Coded>* kmers) {
  const double most = kmers->front().weight, least = kmers->back().weight;  // sorted
  if (least >= 0) return;
  for (Coded& kmer : *kmers) kmer.weight = (kmer.weight - least) / (most - least) + 0.01;
}

// sums[p] collects position p - k relative to the top k-mer, p in [0, 3k).
Columns AddAligned(const std::vector<Coded>& kmers, Preset preset) {
  const int k = static_cast<int>(kmers[0].codes.size());
  Columns sums(static_cast<size_t>(3 * k), {0, 0, 0, 0});
  for (size_t n = 0; n < kmers.size(); ++n) {
    if (preset == Preset::kPublished && n == 0) continue;  // the first of its faults
    const int shift = n == 0 ? 0 : BestShift(kmers[0], kmers[n], preset);
    for (int i = 0; i < k; ++i) sums[k + shift + i][kmers[n].codes[i]] += kmers[n].weight;
  }
  return sums;
}

}  // namespace

double InformationContent(const std::array<double, 4>& column) {
  double bits = 2;
  for (const double p : column) bits += p > 0 ? p * std::log2(p) : 0;
  return std::max(0.0, bits);
}

AlignmentOptions PresetAlignment(Preset preset) {
  AlignmentOptions options;
  options.preset = preset;
  options.top = preset == Preset::kPaper ? 10 : 0;
  return options;
}

absl::StatusOr<AlignmentMotif> AlignKmers(std::span<const WeightedSequence> kmers, const AlignmentOptions& options) {
  const bool published = options.preset == Preset::kPublished;
  if (options.top < 0 || !(options.trim >= 0 && options.trim < 1)) {
    return absl::InvalidArgumentError(
        Concat("top ", options.top, " and trim ", options.trim, "; expected 0 or more, and 0 up to below 1"));
  }
  RB_ASSIGN_OR_RETURN(std::vector<Coded> coded, Encode(kmers, /*unknown_allowed=*/false));
  SortByWeight(&coded);
  if (options.top > 0 && coded.size() > static_cast<size_t>(options.top)) coded.resize(options.top);
  if (published) ScaleAsPublished(&coded);
  if (!(coded[0].weight > 0) || !std::isfinite(coded[0].weight)) {
    return absl::InvalidArgumentError("no k-mer of positive weight; expected at least one to align to");
  }
  std::erase_if(coded, [](const Coded& kmer) { return !(kmer.weight > 0); });
  const double total =
      std::accumulate(coded.begin(), coded.end(), 0.0, [](double sum, const Coded& kmer) { return sum + kmer.weight; });
  Columns sums = AddAligned(coded, options.preset);
  const double least = published ? 0 : options.trim * total;
  const auto kept = [&](const std::array<double, 4>& column) { return Total(column) > 0 && Total(column) >= least; };
  const auto first = std::find_if(sums.begin(), sums.end(), kept);
  auto end = std::find_if(sums.rbegin(), sums.rend(), kept).base();
  if (published && end > first) --end;  // the second of its faults
  if (first >= end) {
    return absl::InvalidArgumentError(
        "the alignment has no column left; expected more k-mers (preset published leaves out the top one)");
  }
  AlignmentMotif motif;
  motif.offset = static_cast<int>(first - sums.begin()) - static_cast<int>(coded[0].codes.size());
  motif.sums.assign(first, end);
  if (published) {
    for (auto& column : motif.sums) {
      for (double& sum : column) sum /= total;
    }
  }
  motif.pwm = Normalize(motif.sums);
  motif.pwm.name = "kmer_alignment";
  return motif;
}

absl::StatusOr<Pwm> TopKmerMotif(std::span<const WeightedSequence> kmers) {
  RB_ASSIGN_OR_RETURN(std::vector<Coded> coded, Encode(kmers, /*unknown_allowed=*/false));
  SortByWeight(&coded);
  Pwm pwm;
  for (const uint8_t code : coded[0].codes) {
    pwm.name += kBaseLetters[code];
    pwm.columns.push_back({0, 0, 0, 0});
    pwm.columns.back()[code] = 1;
  }
  return pwm;
}

absl::StatusOr<Pwm> FrequencyMatrix(std::span<const WeightedSequence> sequences, double pseudocount) {
  if (!(pseudocount >= 0) || !std::isfinite(pseudocount)) {
    return absl::InvalidArgumentError(Concat("the pseudocount is ", pseudocount, "; expected a number of 0 or more"));
  }
  RB_ASSIGN_OR_RETURN(const std::vector<Coded> coded, Encode(sequences, /*unknown_allowed=*/true));
  Columns sums(coded[0].codes.size(), {pseudocount, pseudocount, pseudocount, pseudocount});
  for (size_t i = 0; i < coded.size(); ++i) {
    if (coded[i].weight < 0) {
      return absl::InvalidArgumentError(
          Concat("sequence ", i + 1, " has the weight ", coded[i].weight, "; expected 0 or more"));
    }
    for (size_t p = 0; p < sums.size(); ++p) {
      if (coded[i].codes[p] != kUnknownBase) sums[p][coded[i].codes[p]] += coded[i].weight;
    }
  }
  return Normalize(sums);
}

}  // namespace rb
