// What a device machine needs of its runtime: CUDA's, or the emulation's. One stream; everything is in its order.
#ifndef RB_ENGINE_DEVICE_RUNTIME_H_
#define RB_ENGINE_DEVICE_RUNTIME_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rb {

// A recorded sequence of launches.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  virtual absl::Status Launch() = 0;
};

class DeviceRuntime {
 public:
  virtual ~DeviceRuntime() = default;
  virtual std::string Describe() const = 0;
  virtual absl::Status BindThread() { return absl::OkStatus(); }  // as Machine's
  virtual std::optional<size_t> FreeMemory() const { return std::nullopt; }
  // Zero-filled, at least 128-byte aligned. RESOURCE_EXHAUSTED when memory is short.
  virtual absl::StatusOr<void*> Allocate(size_t bytes) = 0;
  virtual void Free(void* memory) = 0;
  virtual absl::Status CopyToDevice(void* device, const void* host, size_t bytes) = 0;
  virtual absl::Status CopyToHost(void* host, const void* device, size_t bytes) = 0;
  virtual void* stream() = 0;             // DeviceRun::stream
  virtual int scorer_blocks() const = 0;  // thread blocks that keep the device busy
  // Calls `body`, whose launches on stream() are recorded instead of run.
  virtual absl::StatusOr<std::unique_ptr<DeviceGraph>> Record(const std::function<absl::Status()>& body) = 0;
};

}  // namespace rb

#endif  // RB_ENGINE_DEVICE_RUNTIME_H_
