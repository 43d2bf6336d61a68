// Counter-based random numbers: Philox4x32-10 [Salmon et al. 2011], the same bits on every machine.
//
// A draw is a pure function of (key, counter); no generator state exists anywhere, so resuming needs only the step
// number. Keys come from DeriveKey(seed, purpose, stable id); the id names the model (experiment and replicate), never
// its place in a list.
#ifndef RB_KERNELS_PHILOX_H_
#define RB_KERNELS_PHILOX_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "kernels/host_device.h"

namespace rb {

enum class Purpose : uint64_t {
  kInit = 1,
  kDropout = 2,
  kEpochOrder = 3,
  kSplit = 4,
  kSimulate = 5,
  kNullModel = 6,
  kShuffle = 7,
  kPattern = 8,
};

struct PhiloxBlock {
  uint32_t word[4];
};

inline constexpr uint32_t kPhiloxM0 = 0xD2511F53u;
inline constexpr uint32_t kPhiloxM1 = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxW0 = 0x9E3779B9u;
inline constexpr uint32_t kPhiloxW1 = 0xBB67AE85u;

RB_HOST_DEVICE constexpr PhiloxBlock Philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kPhiloxM0) * c0, p1 = static_cast<uint64_t>(kPhiloxM1) * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
  return {{c0, c1, c2, c3}};
}

// splitmix64's finaliser: a bijection that spreads every input bit over all output bits.
RB_HOST_DEVICE constexpr uint64_t MixBits(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

RB_HOST_DEVICE constexpr uint64_t DeriveKey(uint64_t seed, Purpose purpose, uint64_t id) {
  return MixBits(MixBits(MixBits(seed) ^ static_cast<uint64_t>(purpose)) ^ id);
}

// FNV-1a over the name, mixed with the replicate number: the stable id of a model.
constexpr uint64_t StableId(std::string_view name, uint64_t replicate = 0) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return MixBits(hash ^ MixBits(replicate));
}

// Sequential convenience for host code: a stream of draws under one key.
class PhiloxStream {
 public:
  constexpr explicit PhiloxStream(uint64_t key, uint64_t stream = 0) : key_(key), stream_(stream) {}
  constexpr uint32_t Next() {
    if (used_ == 4) {
      const PhiloxBlock b = Philox(key_, static_cast<uint32_t>(count_), static_cast<uint32_t>(count_ >> 32),
                                   static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32));
      for (int i = 0; i < 4; ++i) block_[i] = b.word[i];
      ++count_;
      used_ = 0;
    }
    return block_[used_++];
  }
  // Uniform in [0, 1) with 53 random bits.
  constexpr double Uniform() {
    const uint64_t hi = Next() >> 5, lo = Next() >> 6;
    return (static_cast<double>(hi) * 67108864.0 + static_cast<double>(lo)) * (1.0 / 9007199254740992.0);
  }
  // Uniform integer in [0, n), n > 0 (multiply-shift; bias below 2^-32 * n).
  constexpr uint32_t Below(uint32_t n) { return static_cast<uint32_t>((static_cast<uint64_t>(Next()) * n) >> 32); }

 private:
  uint64_t key_, stream_, count_ = 0;
  int used_ = 4;
  std::array<uint32_t, 4> block_{};
};

}  // namespace rb

#endif  // RB_KERNELS_PHILOX_H_
