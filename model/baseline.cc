#include "model/baseline.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "data/text.h"
#include "engine/check.h"
#include "engine/host_kmer_scan.h"
#include "kernels/metrics.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

constexpr ModelKind kKinds[] = {ModelKind::kNetwork, ModelKind::kKmer, ModelKind::kPwm};

class BaselineScorer : public Scorer {
 public:
  BaselineScorer(const Baseline& baseline, int length)
      : baseline_(baseline),
        length_(length),
        words_(PackedWords(length)),
        codes_(static_cast<size_t>(length)),
        numbers_(static_cast<size_t>(length)) {
    for (int c = 0; baseline.kind == ModelKind::kPwm && c < baseline.width(); ++c) {
      worst_ += *std::min_element(baseline.weights.begin() + 4 * c, baseline.weights.begin() + 4 * c + 4);
    }
  }

  absl::Status Score(const uint32_t* bases, const float*, const int32_t* rows, int64_t n, float* out) override {
    for (int64_t i = 0; i < n; ++i) out[i] = ScoreOne(bases + (rows == nullptr ? i : rows[i]) * words_);
    return absl::OkStatus();
  }

  absl::Status ScanKmers(const KmerScanArgs& args) override {
    std::vector<float> without(static_cast<size_t>(args.n));
    RB_RETURN_IF_ERROR(Score(args.bases, nullptr, nullptr, args.n, without.data()));
    const int64_t kmers = int64_t{1} << (2 * args.k);
    std::vector<uint32_t> written(static_cast<size_t>(words_));
    return ScanOnHost(args, without, [&](int64_t first, int64_t count, float* with) {
      for (int64_t i = first; i < first + count; ++i, with += kmers) {
        std::copy_n(args.bases + i * words_, words_, written.begin());
        for (int64_t m = 0; m < kmers; ++m) {
          WriteKmer(written.data(), length_, m, args.k, args.position);
          with[m] = ScoreOne(written.data());
        }
      }
      return absl::OkStatus();
    });
  }

 private:
  float ScoreOne(const uint32_t* packed) {
    const double value = baseline_.kind == ModelKind::kKmer ? SumOfWeights(packed) : baseline_.slope * Windows(packed);
    return static_cast<float>(baseline_.intercept + value);
  }

  double SumOfWeights(const uint32_t* packed) {
    const int count = KmersOf(packed, length_, baseline_.k, numbers_.data());
    double sum = 0;
    for (int i = 0; i < count; ++i) sum += baseline_.weights[static_cast<size_t>(numbers_[i])];
    return sum;
  }

  double Windows(const uint32_t* packed) {
    UnpackBases(packed, length_, codes_.data());
    const int width = baseline_.width();
    double best = -std::numeric_limits<double>::infinity(), sum = 0;  // sum of exp(odds - best)
    for (int p = 0, known = 0; p < length_; ++p) {
      known = codes_[p] == kUnknownBase ? 0 : known + 1;
      if (known < width) continue;
      double odds = 0;
      const uint8_t* const window = codes_.data() + p + 1 - width;
      for (int c = 0; c < width; ++c) odds += baseline_.weights[static_cast<size_t>(4 * c + window[c])];
      sum = odds > best ? sum * std::exp(best - odds) + 1 : sum + std::exp(odds - best);
      best = std::max(best, odds);
    }
    if (sum == 0) return worst_;
    return baseline_.scan == WindowScan::kBest ? best : best + std::log(sum);
  }

  const Baseline baseline_;
  const int length_, words_;
  double worst_ = 0;
  std::vector<uint8_t> codes_;    // of the sequence at hand
  std::vector<int32_t> numbers_;  // its k-mers
};

}  // namespace

std::string_view ModelKindName(ModelKind kind) {
  return kind == ModelKind::kKmer ? "kmer" : kind == ModelKind::kPwm ? "pwm" : "residualbind";
}

std::string BaselineText(const Baseline& b) {
  if (b.kind == ModelKind::kKmer) {
    return Concat("kmer: linear in the counts of all ", b.k, "-mers, penalty ", b.penalty);
  }
  return Concat("pwm: matrix of ", b.width(), " columns from ", b.top, " ", b.k, "-mers, ",
                b.scan == WindowScan::kBest ? "best window" : "sum over windows", "; line ", b.intercept, " + ",
                b.slope, " x score");
}

std::optional<ModelKind> FindModelKind(std::string_view name) {
  for (const ModelKind kind : kKinds) {
    if (name == ModelKindName(kind)) return kind;
  }
  return std::nullopt;
}

std::string_view WindowScanName(WindowScan scan) { return scan == WindowScan::kBest ? "best" : "sum"; }

std::optional<WindowScan> FindWindowScan(std::string_view name) {
  for (const WindowScan scan : {WindowScan::kBest, WindowScan::kSum}) {
    if (name == WindowScanName(scan)) return scan;
  }
  return std::nullopt;
}

int KmersOf(const uint32_t* packed, int length, int k, int32_t* numbers) {
  const int32_t mask = (int32_t{1} << (2 * k)) - 1;
  int count = 0, known = 0;
  int32_t number = 0;
  for (int p = 0; p < length; ++p) {
    const uint8_t base = BaseAt(packed, length, p);
    known = base == kUnknownBase ? 0 : known + 1;
    number = (number << 2 | (base & 3)) & mask;
    if (known >= k) numbers[count++] = number;
  }
  return count;
}

std::unique_ptr<Scorer> NewBaselineScorer(const Baseline& baseline, int length) {
  RB_CHECK(baseline.kind != ModelKind::kNetwork);
  RB_CHECK(baseline.kind != ModelKind::kKmer || baseline.weights.size() == size_t{1} << (2 * baseline.k));
  RB_CHECK(baseline.kind != ModelKind::kPwm || baseline.width() > 0);
  return std::make_unique<BaselineScorer>(baseline, length);
}

absl::StatusOr<double> ValidPearson(const Baseline& baseline, const BaselineData& data) {
  std::vector<float> found(data.valid.size());
  const int64_t n = std::ssize(data.valid);
  RB_RETURN_IF_ERROR(NewBaselineScorer(baseline, data.sequences.length)
                         ->Score(data.sequences.bases.data(), nullptr, data.valid.data(), n, found.data()));
  return cpu::Pearson(found.data(), data.valid_targets.data(), n);
}

}  // namespace rb
