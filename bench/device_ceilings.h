// What the device can do at best, measured in the same run as the rows that are compared with it.
#ifndef RB_BENCH_DEVICE_CEILINGS_H_
#define RB_BENCH_DEVICE_CEILINGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "kernels/precision.h"

namespace rb::bench {

struct Ceilings {
  double copy = 0;                      // cudaMemcpy device to device, 1 GiB: bytes read and written a second
  double fp32 = 0, tf32 = 0, bf16 = 0;  // cuBLAS, 8192 x 8192 x 8192, random values: FLOP a second
  double Products(Precision precision) const {
    return precision == Precision::kBf16 ? bf16 : precision == Precision::kTf32 ? tf32 : fp32;
  }
};

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0, multiprocessors = 0, driver = 0, runtime = 0;
  double clock_mhz = 0, memory_clock_mhz = 0;  // the most that the device reports
  double l2_bytes = 0, memory_bytes = 0, free_bytes = 0;
};

absl::StatusOr<DeviceFacts> ReadDeviceFacts(int device);
// About a quarter of a second and 2 GiB of the device's memory.
absl::StatusOr<Ceilings> MeasureCeilings(int device);

}  // namespace rb::bench

#endif  // RB_BENCH_DEVICE_CEILINGS_H_
