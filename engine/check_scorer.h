// Scoring and folding by both of the checking machine's, compared.
#ifndef RB_ENGINE_CHECK_SCORER_H_
#define RB_ENGINE_CHECK_SCORER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "engine/check_comparer.h"
#include "engine/machine.h"

namespace rb {

class CheckFolder : public Folder {
 public:
  CheckFolder(int length, std::unique_ptr<Folder> cpu, std::unique_ptr<Folder> device)
      : length_(length), cpu_(std::move(cpu)), device_(std::move(device)), comparer_(Precision::kFp32) {}
  absl::Status Fold(const uint32_t* bases, const uint16_t* widths, int64_t n, float* tracks,
                    double* log_partition) override {
    RB_RETURN_IF_ERROR(cpu_->Fold(bases, widths, n, tracks, log_partition));
    std::vector<float> other(static_cast<size_t>(n * length_ * kFoldTracks));
    RB_RETURN_IF_ERROR(device_->Fold(bases, widths, n, other.data(), nullptr));
    const std::string text = comparer_.Compare(tracks, other.data(), std::ssize(other), 0);
    return text.empty() ? absl::OkStatus() : absl::DataLossError(absl::StrCat("check: Fold, tracks: ", text));
  }

 private:
  int length_;
  std::unique_ptr<Folder> cpu_, device_;
  Comparer comparer_;
};

class CheckScorer : public Scorer {
 public:
  CheckScorer(std::unique_ptr<Scorer> cpu, std::unique_ptr<Scorer> device, Precision precision)
      : cpu_(std::move(cpu)), device_(std::move(device)), comparer_(precision) {}
  absl::Status Score(const uint32_t* bases, const float* tracks, const int32_t* rows, int64_t n, float* out) override {
    RB_RETURN_IF_ERROR(cpu_->Score(bases, tracks, rows, n, out));
    std::vector<float> other(static_cast<size_t>(n));
    RB_RETURN_IF_ERROR(device_->Score(bases, tracks, rows, n, other.data()));
    return Compare("Score", out, other);
  }
  // Means are compared, against the largest of them; k-mers of nearly the same effect may change places.
  absl::Status ScanKmers(const KmerScanArgs& args) override {
    RB_RETURN_IF_ERROR(cpu_->ScanKmers(args));
    std::vector<EffectMoments> effects(size_t{1} << (2 * args.k));
    std::vector<int32_t> order(effects.size());
    KmerScanArgs other = args;
    other.effects = effects.data(), other.order = order.data();
    RB_RETURN_IF_ERROR(device_->ScanKmers(other));
    std::vector<float> mean, device_mean;
    for (size_t m = 0; m < effects.size(); ++m) {
      mean.push_back(static_cast<float>(args.effects[m].mean));
      device_mean.push_back(static_cast<float>(effects[m].mean));
    }
    return Compare("ScanKmers", mean.data(), device_mean);
  }

 private:
  absl::Status Compare(const char* name, const float* cpu, const std::vector<float>& device) const {
    const std::string text = comparer_.Compare(cpu, device.data(), static_cast<int64_t>(device.size()), 0);
    if (text.empty()) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("check: ", name, ", predictions: ", text));
  }

  std::unique_ptr<Scorer> cpu_, device_;
  Comparer comparer_;
};

}  // namespace rb

#endif  // RB_ENGINE_CHECK_SCORER_H_
