// The kernel dialect (kernels/device/dialect.h) for the host compiler: CUDA's names over the emulation. Included by
// kernel files only, since its macros replace plain words (threadIdx, __global__).
#ifndef RB_KERNELS_EMULATED_DIALECT_EMULATED_H_
#define RB_KERNELS_EMULATED_DIALECT_EMULATED_H_

#include <math.h>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/emulated/emulator.h"
#include "kernels/emulated/intrinsics.h"
#include "kernels/emulated/scheduler.h"
#include "kernels/emulated/vector_types.h"

#define RB_MACHINE emu
#define RB_SHARED(name, ...) auto& name = ::rb::emu::Shared<__VA_ARGS__>([] {})
#define RB_DYNAMIC_SHARED(T, name) T* const name = reinterpret_cast<T*>(::rb::emu::Self()->block->dynamic_shared)

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

#define threadIdx (::rb::emu::Self()->thread_index)
#define blockIdx (::rb::emu::Self()->block->block_index)
#define blockDim (::rb::emu::Self()->block->block_size)
#define gridDim (::rb::emu::Self()->block->grid_size)
#define warpSize 32

namespace rb::emu {

// Tag: a type of its own for each place that declares shared memory, and for each instance of a template.
template <class T, class Tag>
T& Shared(Tag, Where where = Where::current()) {
  static_assert(std::is_trivially_destructible_v<T>);
  static constexpr char key = 0;
  return *static_cast<T*>(SharedVariable(&key, sizeof(T), alignof(T), where));
}

template <class... Parameters, class... Arguments>
DeviceError Launch(const LaunchConfig& config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernels take plain data");
  static_assert((sizeof(Parameters) + ... + 0) <= 4096, "kernels take at most 4 KiB of arguments");
  return LaunchKernel(config, reinterpret_cast<const void*>(kernel),
                      [kernel, values = std::tuple<Parameters...>(std::forward<Arguments>(arguments)...)] {
                        std::apply(kernel, values);
                      });
}

inline void BlockBarrier(int id, int threads, Where where = Where::current()) {
  if (id == 0) Fail(where, "BlockBarrier: barrier 0 is __syncthreads; there are 1 to 15");
  Barrier(id, threads, "BlockBarrier", where);
}

// What a lane gives to a shuffle: a value, and the lane whose value it wants.
template <class T>
struct Offer {
  T value;
  int from;
};
template <class T>
T Shuffle(unsigned mask, T value, int from, const char* what, const Where& where) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8), "shuffles move 4 or 8 bytes");
  const Offer<T> offer{value, from};
  T result = value;
  const auto combine = [](const Lanes& lanes) -> const char* {
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((lanes.mask >> lane & 1u) == 0) continue;
      const int source = static_cast<const Offer<T>*>(lanes.in[lane])->from;
      if ((lanes.mask >> source & 1u) == 0) return "reads a lane that is not in the mask";
      *static_cast<T*>(lanes.out[lane]) = static_cast<const Offer<T>*>(lanes.in[source])->value;
    }
    return nullptr;
  };
  WarpOperation(mask, &offer, &result, combine, false, what, where);
  return result;
}

inline unsigned Ballot(unsigned mask, int predicate, const char* what, const Where& where) {
  unsigned result = 0;
  const auto combine = [](const Lanes& lanes) -> const char* {
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (lanes.mask >> lane & 1u) bits |= static_cast<unsigned>(*static_cast<const int*>(lanes.in[lane]) != 0) << lane;
    }
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (lanes.mask >> lane & 1u) *static_cast<unsigned*>(lanes.out[lane]) = bits;
    }
    return nullptr;
  };
  WarpOperation(mask, &predicate, &result, combine, false, what, where);
  return result;
}

// Atomic read-modify-write that orders nothing else, as CUDA's.
template <class T, class Change>
T AtomicChange(T* address, const Change& change) {
  std::atomic_ref<T> value(*address);
  T before = value.load(std::memory_order_relaxed);
  while (!value.compare_exchange_weak(before, change(before), std::memory_order_relaxed)) {
  }
  return before;
}

}  // namespace rb::emu

namespace rb {
using emu::BlockBarrier;
using emu::ClusterMap;
using emu::ClusterRank;
using emu::ClusterSync;
using emu::CpAsync16;
using emu::CpAsync16Zero;
using emu::CpAsyncCommit;
using emu::CpAsyncWait;
using emu::DependencyTrigger;
using emu::DependencyWait;
using emu::Launch;
using emu::LaunchConfig;
using emu::LdMatrix2;
using emu::LdMatrix2Trans;
using emu::LdMatrix4;
using emu::LdMatrix4Trans;
using emu::Mma16816;
using emu::Mma1688;
using emu::PackBf16;
using emu::TicketArrive;
using emu::ToTf32;

inline int ThreadNow() { return static_cast<int>(emu::Self()->thread_index.x); }
inline void PrefetchL2(const void*) {}
inline int SharedMemoryLimit() { return emu::options().shared_memory; }
}  // namespace rb

// --- CUDA's functions ------------------------------------------------------------------------------------------------

inline void __syncthreads(rb::emu::Where where = rb::emu::Where::current()) {
  rb::emu::Barrier(0, 0, "__syncthreads", where);
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, rb::emu::Where where = rb::emu::Where::current()) {
  rb::emu::WarpOperation(mask, nullptr, nullptr, nullptr, true, "__syncwarp", where);
}

// Lanes are taken in groups of `width`, a power of two; a lane whose source would lie outside its group keeps its
// value.
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32, rb::emu::Where where = rb::emu::Where::current()) {
  const int lane = static_cast<int>(rb::emu::Self()->lane), begin = lane & ~(width - 1);
  return rb::emu::Shuffle(mask, value, begin | (from & (width - 1)), "__shfl_sync", where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, rb::emu::Where where = rb::emu::Where::current()) {
  const int lane = static_cast<int>(rb::emu::Self()->lane), end = (lane & ~(width - 1)) + width, from = lane ^ bits;
  return rb::emu::Shuffle(mask, value, from >= end ? lane : from, "__shfl_xor_sync", where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32,
                   rb::emu::Where where = rb::emu::Where::current()) {
  const int lane = static_cast<int>(rb::emu::Self()->lane), end = (lane & ~(width - 1)) + width;
  const int from = lane + static_cast<int>(by);
  return rb::emu::Shuffle(mask, value, from >= end ? lane : from, "__shfl_down_sync", where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32,
                 rb::emu::Where where = rb::emu::Where::current()) {
  const int lane = static_cast<int>(rb::emu::Self()->lane), begin = lane & ~(width - 1);
  const int from = lane - static_cast<int>(by);
  return rb::emu::Shuffle(mask, value, from < begin ? lane : from, "__shfl_up_sync", where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, rb::emu::Where where = rb::emu::Where::current()) {
  return rb::emu::Ballot(mask, predicate, "__ballot_sync", where);
}
inline int __any_sync(unsigned mask, int predicate, rb::emu::Where where = rb::emu::Where::current()) {
  return rb::emu::Ballot(mask, predicate, "__any_sync", where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, rb::emu::Where where = rb::emu::Where::current()) {
  return rb::emu::Ballot(mask, predicate, "__all_sync", where) == mask;
}

// Integers only: sums of floats in any order would not be the same twice.
template <class T>
requires std::is_integral_v<T> T atomicAdd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_add(value, std::memory_order_relaxed);
}
template <class T>
requires std::is_integral_v<T> T atomicOr(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_or(value, std::memory_order_relaxed);
}
template <class T>
requires std::is_integral_v<T> T atomicAnd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_and(value, std::memory_order_relaxed);
}
template <class T>
requires std::is_integral_v<T> T atomicExch(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).exchange(value, std::memory_order_relaxed);
}
template <class T>
requires std::is_integral_v<T> T atomicMax(T* address, std::type_identity_t<T> value) {
  return rb::emu::AtomicChange(address, [&](T before) { return before < value ? value : before; });
}
template <class T>
requires std::is_integral_v<T> T atomicMin(T* address, std::type_identity_t<T> value) {
  return rb::emu::AtomicChange(address, [&](T before) { return value < before ? value : before; });
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
void __stcg(T* address, std::type_identity_t<T> value) {
  *address = value;
}
template <class T>
void __stcs(T* address, std::type_identity_t<T> value) {
  *address = value;
}

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (x >> i & 1u) << (31 - i);
  return reversed;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }
// Never contracted into a fused multiply-add.
inline float __fadd_rn(float a, float b) {
  volatile float sum = a + b;
  return sum;
}
inline float __fmul_rn(float a, float b) {
  volatile float product = a * b;
  return product;
}
inline double __dmul_rn(double a, double b) {
  volatile double product = a * b;
  return product;
}
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }

#endif  // RB_KERNELS_EMULATED_DIALECT_EMULATED_H_
