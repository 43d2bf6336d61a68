// A scan of all k-mers on a device: sequences drawn or read, written over and scored where they are made, local effects
// reduced to their moments, k-mers sorted; the host hands over patterns and takes moments.
#ifndef RB_ENGINE_DEVICE_KMER_SCAN_H_
#define RB_ENGINE_DEVICE_KMER_SCAN_H_

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/device_scorer_bed.h"
#include "engine/rank_effects.h"
#include "kernels/packed_bases.h"

namespace rb {

template <class Operators>
class DeviceKmerScan {
 public:
  // bed: with the model packed in slot 0, which is all that `live` names.
  DeviceKmerScan(Machine& machine, DeviceScorerBed<Operators>& bed, const int32_t* live, const KmerScanArgs& args)
      : machine_(machine), bed_(bed), live_(live), args_(args), arena_(machine.NewArena()) {}

  absl::Status Run() {
    const int64_t most = std::max<int64_t>(1, kMostMoments / ScorerGroups(bed_.geometry(), rows()));
    kmers_at_once_ = static_cast<int32_t>(std::min<int64_t>(kmers(), most));
    RB_RETURN_IF_ERROR(Allocate());
    RB_RETURN_IF_ERROR(ScoreWithout());
    for (int32_t first = 0; first < kmers(); first += kmers_at_once_) {
      if (first > 0 && args_.progress) args_.progress(static_cast<double>(first) / kmers());
      RB_RETURN_IF_ERROR(Score(first, std::min(kmers_at_once_, kmers() - first)));
    }
    RB_RETURN_IF_ERROR(
        Done(Operators::RankEffects(RankEffectsArgs<float>{effects_, kmers(), order_}, bed_.run()), "RankEffects"));
    RB_RETURN_IF_ERROR(machine_.Download(args_.effects, effects_, kmers() * sizeof(EffectMoments)));
    return machine_.Download(args_.order, order_, kmers() * sizeof(int32_t));
  }

 private:
  static constexpr int64_t kMostMoments = 1 << 22;  // on the device at a time: 64 MB

  int32_t kmers() const { return int32_t{1} << (2 * args_.k); }
  int32_t rows() const { return static_cast<int32_t>(args_.n); }
  int words() const { return PackedWords(bed_.geometry().length); }
  static absl::Status Done(DeviceError error, const char* name) { return DeviceStatus<Operators>(error, name, ""); }

  template <class V>
  absl::Status Send(const V* from, int64_t count, const char* purpose, const V** to) {
    RB_ASSIGN_OR_RETURN(V* const place, arena_->Allocate<V>(count, purpose));
    *to = place;
    return machine_.Upload(place, from, static_cast<size_t>(count) * sizeof(V));
  }

  absl::Status Allocate() {
    if (args_.drawn != nullptr) {
      const std::vector<uint64_t>& thresholds = args_.drawn->thresholds;
      RB_RETURN_IF_ERROR(Send(thresholds.data(), static_cast<int64_t>(thresholds.size()), "the profile's thresholds",
                              &draws_.thresholds.base));
      RB_RETURN_IF_ERROR(Send(&args_.drawn->key, 1, "the key of the draws", &draws_.keys));
      draws_.first = args_.drawn->first;
    } else {
      RB_RETURN_IF_ERROR(Send(args_.bases, args_.n * words(), "null sequences", &bases_));
    }
    const int32_t num_rows = rows();
    RB_RETURN_IF_ERROR(Send(&num_rows, 1, "number of null sequences", &num_rows_));
    RB_ASSIGN_OR_RETURN(patterns_, arena_->Allocate<uint32_t>(int64_t{kmers_at_once_} * words(), "k-mers"));
    RB_ASSIGN_OR_RETURN(without_, arena_->Allocate<float>(args_.n, "predictions of the null sequences"));
    const int64_t moments = int64_t{kmers_at_once_} * ScorerGroups(bed_.geometry(), rows());
    RB_ASSIGN_OR_RETURN(moments_, arena_->Allocate<EffectMoments>(moments, "moments of groups of sequences"));
    RB_ASSIGN_OR_RETURN(effects_, arena_->Allocate<EffectMoments>(kmers(), "effects"));
    RB_ASSIGN_OR_RETURN(order_, arena_->Allocate<int32_t>(kmers(), "the order of the k-mers"));
    return absl::OkStatus();
  }

  ScoreSequencesArgs<float> Sequences() const {
    ScoreSequencesArgs<float> args;
    args.live = live_;
    args.count = 1;
    args.bases = bases_;
    args.draws = draws_;
    args.num_rows = num_rows_;
    args.max_rows = rows();
    return args;
  }
  absl::Status ScoreWithout() {
    ScoreSequencesArgs<float> args = Sequences();
    args.out = {without_, 0};
    return bed_.Score(args);
  }
  // K-mers first .. first + count.
  absl::Status Score(int32_t first, int32_t count) {
    const int length = bed_.geometry().length;
    written_.assign(static_cast<size_t>(count) * words(), 0);
    for (int32_t m = 0; m < count; ++m) {
      uint32_t* const pattern = written_.data() + static_cast<size_t>(m) * words();
      WriteKmer(pattern, length, first + m, args_.k, args_.position);
    }
    RB_RETURN_IF_ERROR(machine_.Upload(patterns_, written_.data(), written_.size() * sizeof(uint32_t)));
    ScoreSequencesArgs<float> args = Sequences();
    args.scan = {patterns_, count, {without_, 0}, {moments_, 0}};
    RB_RETURN_IF_ERROR(bed_.Score(args));
    MergeEffectsArgs<float> merge;
    merge.live = live_;
    merge.count = 1;
    merge.num_rows = num_rows_;
    merge.group = ScorerGroup(bed_.geometry());
    merge.num_patterns = count;
    merge.moments = {moments_, 0};
    merge.effects = {effects_ + first, 0};
    return Done(Operators::MergeEffects(merge, bed_.run()), "MergeEffects");
  }

  Machine& machine_;
  DeviceScorerBed<Operators>& bed_;
  const int32_t* const live_;
  const KmerScanArgs& args_;
  std::unique_ptr<Arena> arena_;
  int32_t kmers_at_once_ = 0;
  ProfileDraws draws_;
  const uint32_t* bases_ = nullptr;
  const int32_t* num_rows_ = nullptr;
  uint32_t* patterns_ = nullptr;
  float* without_ = nullptr;
  EffectMoments* moments_ = nullptr;
  EffectMoments* effects_ = nullptr;
  int32_t* order_ = nullptr;
  std::vector<uint32_t> written_;
};

}  // namespace rb

#endif  // RB_ENGINE_DEVICE_KMER_SCAN_H_
