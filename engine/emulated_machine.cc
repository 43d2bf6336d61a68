// The emulated device as a machine: the device kernels on the host, for tests and for checks against the CPU.
#include <cstdlib>
#include <cstring>

#include "engine/device_machine.h"
#include "kernels/emulated/emulator.h"
#include "kernels/emulated/observer.h"

namespace rb {
namespace {

class EmulatedGraph : public DeviceGraph {
 public:
  EmulatedGraph(emu::Graph graph, emu::Stream& stream) : graph_(std::move(graph)), stream_(stream) {}
  absl::Status Launch() override {
    const DeviceError error = stream_.Replay(graph_);
    return error ? absl::InternalError(absl::StrCat("emulated device: ", emu::DeviceErrorText(error)))
                 : absl::OkStatus();
  }

 private:
  emu::Graph graph_;
  emu::Stream& stream_;
};

class EmulatedRuntime : public DeviceRuntime {
 public:
  std::string Describe() const override { return "emulated device"; }
  absl::StatusOr<void*> Allocate(size_t bytes) override {
    const size_t size = (bytes + 127) / 128 * 128;
    void* memory = size < bytes ? nullptr : std::aligned_alloc(128, size);
    if (memory == nullptr) return absl::ResourceExhaustedError("the host's memory is used up");
    emu::AddGlobal(memory, size);
    return std::memset(memory, 0, size);
  }
  void Free(void* memory) override {
    emu::RemoveGlobal(memory);
    std::free(memory);
  }
  absl::Status CopyToDevice(void* device, const void* host, size_t bytes) override {
    RB_CHECK(!stream_.capturing());
    std::memcpy(device, host, bytes);
    return absl::OkStatus();
  }
  absl::Status CopyToHost(void* host, const void* device, size_t bytes) override {
    RB_CHECK(!stream_.capturing());
    std::memcpy(host, device, bytes);
    return absl::OkStatus();
  }
  void* stream() override { return &stream_; }
  int scorer_blocks() const override { return 8; }
  absl::StatusOr<std::unique_ptr<DeviceGraph>> Record(const std::function<absl::Status()>& body) override {
    stream_.BeginCapture();
    const absl::Status recorded = body();
    emu::Graph graph = stream_.EndCapture();
    RB_RETURN_IF_ERROR(recorded);
    return std::make_unique<EmulatedGraph>(std::move(graph), stream_);
  }

 private:
  emu::Stream stream_;
};

RB_DEVICE_OPERATORS_STRUCT(EmulatedOperators, emu);

}  // namespace

std::unique_ptr<Machine> MakeEmulatedMachine(Precision precision) {
  auto runtime = std::make_unique<EmulatedRuntime>();
  if (precision == Precision::kBf16) {
    return std::make_unique<DeviceMachine<EmulatedOperators, BFloat16>>(std::move(runtime), precision);
  }
  return std::make_unique<DeviceMachine<EmulatedOperators, float>>(std::move(runtime), precision);
}

}  // namespace rb
