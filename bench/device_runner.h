// Times rows under Google Benchmark with CUDA events, and writes them as they finish, one JSON object a line.
#ifndef RB_BENCH_DEVICE_RUNNER_H_
#define RB_BENCH_DEVICE_RUNNER_H_

#include <string>
#include <vector>

#include "bench/device_row.h"

namespace rb::bench {

// main() of a device benchmark: flags, then the rows that `rows` makes of them. Exit code 1 and one line without a
// usable device, 2 for wrong flags.
int RunDeviceBench(int argc, char** argv, std::vector<DeviceRow> (*rows)(const DeviceOptions&));

}  // namespace rb::bench

#endif  // RB_BENCH_DEVICE_RUNNER_H_
