// Ceilings by the simplest loops that can reach them: independent multiply-adds in registers, independent vector loads.
//
// 24 accumulators cover latency (4 to 5 cycles) times throughput (2 a cycle) with room to spare and fit the register
// file. A slice is long against the timer and short against the machine's hiccups; the best slice counts.
#include "bench/peak.h"

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#if defined(__x86_64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC bug 105593: its own intrinsics
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace rb::bench {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

// Runs work() (which returns the operations or bytes it did) for `seconds`; the best rate of its calls, in 1e9 a
// second.
template <class F>
double BestRate(double seconds, const F& work) {
  work();
  double best = 0;
  const auto begin = Clock::now();
  while (Seconds(Clock::now() - begin) < seconds) {
    const auto start = Clock::now();
    const double done = work();
    best = std::max(best, done / Seconds(Clock::now() - start) * 1e-9);
  }
  return best;
}

constexpr int kSteps = 20000;  // of one slice: 24 x 20000 operations, about 60 us
constexpr int kChains = 24;
constexpr int kChainsAvx2 = 12;  // of 16 registers

#if defined(__x86_64__)

__attribute__((target("avx512f"))) double Fp32Avx512() {
  __m512 acc[kChains], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int s = 0; s < kSteps; ++s) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) acc[i] = _mm512_fmadd_ps(acc[i], a, b);
    asm volatile("" : "+v"(a));
  }
#pragma GCC unroll 24
  for (int i = 1; i < kChains; ++i) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  benchmark::DoNotOptimize(_mm512_reduce_add_ps(acc[0]));
  return 2.0 * 16 * kChains * kSteps;
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) double Bf16Avx512() {
  __m512 acc[kChains];
  __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f003f00), b = (__m512bh)_mm512_set1_epi32(0x3e803e80);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int s = 0; s < kSteps; ++s) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) acc[i] = _mm512_dpbf16_ps(acc[i], a, b);
    asm volatile("" : "+v"(a));
  }
#pragma GCC unroll 24
  for (int i = 1; i < kChains; ++i) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  benchmark::DoNotOptimize(_mm512_reduce_add_ps(acc[0]));
  return 4.0 * 16 * kChains * kSteps;
}

__attribute__((target("avx2,fma"))) double Fp32Avx2() {
  __m256 acc[kChainsAvx2], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
#pragma GCC unroll 24
  for (int i = 0; i < kChainsAvx2; ++i) acc[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int s = 0; s < kSteps; ++s) {
#pragma GCC unroll 24
    for (int i = 0; i < kChainsAvx2; ++i) acc[i] = _mm256_fmadd_ps(acc[i], a, b);
    asm volatile("" : "+x"(a));
  }
#pragma GCC unroll 24
  for (int i = 1; i < kChainsAvx2; ++i) acc[0] = _mm256_add_ps(acc[0], acc[i]);
  float out[8];
  _mm256_storeu_ps(out, acc[0]);
  benchmark::DoNotOptimize(out[0]);
  return 2.0 * 8 * kChainsAvx2 * kSteps;
}

// Eight loads of a cache line each, xored into eight sums.
__attribute__((target("avx512f"))) void ReadAvx512(const char* p, size_t bytes) {
  __m512i sum[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sum[i] = _mm512_setzero_si512();
  for (size_t at = 0; at < bytes; at += 512) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) sum[i] = _mm512_xor_si512(sum[i], _mm512_load_si512(p + at + 64 * i));
  }
#pragma GCC unroll 8
  for (int i = 1; i < 8; ++i) sum[0] = _mm512_xor_si512(sum[0], sum[i]);
  benchmark::DoNotOptimize(_mm512_reduce_or_epi32(sum[0]));
}

double MeasureFp32(double seconds) {
  if (__builtin_cpu_supports("avx512f")) return BestRate(seconds, Fp32Avx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return BestRate(seconds, Fp32Avx2);
  return 0;
}

double MeasureBf16(double seconds) {
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vl")) return 0;
  return BestRate(seconds, Bf16Avx512);
}

bool ReadWide(const char* p, size_t bytes) {
  if (!__builtin_cpu_supports("avx512f")) return false;
  ReadAvx512(p, bytes);
  return true;
}

#else

double MeasureFp32(double) { return 0; }
double MeasureBf16(double) { return 0; }
bool ReadWide(const char*, size_t) { return false; }

#endif

void Read(const char* p, size_t bytes) {
  if (ReadWide(p, bytes)) return;
  uint64_t sum[16] = {};  // left to the compiler's vectoriser
  for (size_t at = 0; at < bytes; at += sizeof(sum)) {
    uint64_t line[16];
    std::memcpy(line, p + at, sizeof(line));
    for (int i = 0; i < 16; ++i) sum[i] ^= line[i];
  }
  benchmark::DoNotOptimize(sum);
}

// Reads a buffer of `bytes` over and over, at least 256 KB a slice.
double MeasureRead(size_t bytes, double seconds) {
  constexpr size_t kStep = 512, kSlice = size_t{1} << 18;
  bytes = std::max(kStep, bytes / kStep * kStep);
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  const std::unique_ptr<char, Free> buffer(static_cast<char*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)));
  std::memset(buffer.get(), 1, bytes);
  const size_t passes = std::max<size_t>(1, kSlice / bytes);
  return BestRate(seconds, [&] {
    for (size_t i = 0; i < passes; ++i) Read(buffer.get(), bytes);
    return static_cast<double>(bytes * passes);
  });
}

size_t CacheSize(int name, size_t otherwise) {
  const long size = sysconf(name);
  return size > 0 ? static_cast<size_t>(size) : otherwise;
}

}  // namespace

Peak MeasurePeak(double seconds) {
  const size_t l1 = CacheSize(_SC_LEVEL1_DCACHE_SIZE, size_t{32} << 10),
               l2 = CacheSize(_SC_LEVEL2_CACHE_SIZE, size_t{1} << 20),
               l3 = CacheSize(_SC_LEVEL3_CACHE_SIZE, size_t{32} << 20);
  Peak peak;
  peak.fp32 = MeasureFp32(2 * seconds);
  peak.bf16 = MeasureBf16(2 * seconds);
  peak.l1 = MeasureRead(l1 / 2, seconds);
  peak.l2 = MeasureRead(l2 / 2, seconds);
  peak.dram = MeasureRead(std::min(4 * l3, size_t{256} << 20), 4 * seconds);
  return peak;
}

void AddPeakContext(const Peak& peak) {
  const auto add = [](const char* name, double value, const char* unit) {
    benchmark::AddCustomContext(name, std::to_string(static_cast<int64_t>(value + 0.5)) + unit);
  };
  add("peak fp32, one core", peak.fp32, " GFLOP/s");
  add("peak bf16, one core", peak.bf16, " GFLOP/s");
  add("read L1, one core", peak.l1, " GB/s");
  add("read L2, one core", peak.l2, " GB/s");
  add("read DRAM, one core", peak.dram, " GB/s");
}

}  // namespace rb::bench
