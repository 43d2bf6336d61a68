// Flags of the device benchmarks: which rows, over which shapes.
#ifndef RB_BENCH_DEVICE_OPTIONS_H_
#define RB_BENCH_DEVICE_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kernels/precision.h"
#include "model/shape.h"

namespace rb::bench {

struct DeviceOptions {
  std::vector<int> models = {1, 8, 40, 244};
  std::vector<std::string> precisions = {"fp32", "tf32", "bf16"};
  std::vector<std::string> variants = {"fused"};
  std::vector<std::string> peers = {"copy", "cublas"};
  std::string operators = ".";  // regular expression over row names
  Shape shape = kPaperShape;
  int batch = 100;
  int group = 0;   // models that one launch covers; 0: all
  int rotate = 0;  // input sets; 0: as many as do not fit into L2 together
  int64_t sequences = 241'357;
  int score_rows = 0;  // a model; 0: 2^18 over all models
  int device = 0;
  std::string json;
  bool list = false;      // names only
  bool emulated = false;  // every row once on the emulated device, without timing: are its arguments right?

  bool Variant(const std::string& name) const;
  bool Peer(const std::string& name) const;
};

const char* PrecisionName(Precision precision);
Precision PrecisionOf(const std::string& name);

// Reads argv; what it does not know stays in `rest` (program name first) for Google Benchmark. kAborted: help was
// printed.
absl::Status ParseDeviceOptions(int argc, char** argv, DeviceOptions& options, std::vector<std::string>& rest);

}  // namespace rb::bench

#endif  // RB_BENCH_DEVICE_OPTIONS_H_
