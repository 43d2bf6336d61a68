// CUDA devices as machines.
#include <array>
#include <cstring>

#include "engine/device_machine.h"

#if defined(RB_HAVE_CUDA)
#include <cuda_runtime.h>

#if defined(RB_HAVE_CUBLAS)
#include "engine/dense_cublas.h"
#endif

namespace rb {
namespace {

absl::Status CudaStatus(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return absl::OkStatus();
  const std::string text = absl::StrCat("CUDA, ", what, ": ", cudaGetErrorString(error));
  return error == cudaErrorMemoryAllocation ? absl::ResourceExhaustedError(text) : absl::InternalError(text);
}

// Launches of a graph may run far ahead of the device; this many at most.
constexpr int kLaunchesAhead = 64;

class CudaGraph : public DeviceGraph {
 public:
  CudaGraph(cudaGraphExec_t graph, cudaStream_t stream) : graph_(graph), stream_(stream) {}
  ~CudaGraph() override {
    for (const cudaEvent_t event : events_) {
      if (event != nullptr) cudaEventDestroy(event);
    }
    cudaGraphExecDestroy(graph_);
  }
  absl::Status Launch() override {
    cudaEvent_t& event = events_[next_];
    next_ = (next_ + 1) % kLaunchesAhead;
    if (event == nullptr) {
      RB_RETURN_IF_ERROR(CudaStatus(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync),
                                    "creating an event"));
    } else {
      RB_RETURN_IF_ERROR(CudaStatus(cudaEventSynchronize(event), "waiting for a step"));
    }
    RB_RETURN_IF_ERROR(CudaStatus(cudaGraphLaunch(graph_, stream_), "launching a step"));
    return CudaStatus(cudaEventRecord(event, stream_), "recording an event");
  }

 private:
  cudaGraphExec_t graph_;
  cudaStream_t stream_;
  std::array<cudaEvent_t, kLaunchesAhead> events_ = {};
  int next_ = 0;
};

class CudaRuntime : public DeviceRuntime {
 public:
  static absl::StatusOr<std::unique_ptr<CudaRuntime>> Create(int device) {
    std::unique_ptr<CudaRuntime> runtime(new CudaRuntime(device));
    RB_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(device), "choosing the device"));
    RB_RETURN_IF_ERROR(CudaStatus(cudaGetDeviceProperties(&runtime->properties_, device), "reading its properties"));
    RB_RETURN_IF_ERROR(
        CudaStatus(cudaStreamCreateWithFlags(&runtime->stream_, cudaStreamNonBlocking), "creating a stream"));
    return runtime;
  }
  ~CudaRuntime() override {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  std::string Describe() const override {
    return absl::StrCat("cuda:", device_, ": ", properties_.name, ", ", properties_.multiProcessorCount,
                        " multiprocessors, compute capability ", properties_.major, ".", properties_.minor);
  }
  absl::Status BindThread() override { return CudaStatus(cudaSetDevice(device_), "choosing the device"); }
  std::optional<size_t> FreeMemory() const override {
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) return std::nullopt;
    return free;
  }
  absl::StatusOr<void*> Allocate(size_t bytes) override {
    void* memory = nullptr;
    if (const cudaError_t error = cudaMalloc(&memory, bytes); error != cudaSuccess) {
      cudaGetLastError();  // an allocation that fails leaves its error behind
      return CudaStatus(error, "allocating memory");
    }
    RB_RETURN_IF_ERROR(CudaStatus(cudaMemsetAsync(memory, 0, bytes, stream_), "clearing memory"));
    return memory;
  }
  void Free(void* memory) override {
    cudaStreamSynchronize(stream_);
    cudaFree(memory);
  }
  absl::Status CopyToDevice(void* device, const void* host, size_t bytes) override {
    RB_RETURN_IF_ERROR(
        CudaStatus(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_), "copying to the device"));
    return CudaStatus(cudaStreamSynchronize(stream_), "waiting for the device");
  }
  absl::Status CopyToHost(void* host, const void* device, size_t bytes) override {
    RB_RETURN_IF_ERROR(
        CudaStatus(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_), "copying from the device"));
    return CudaStatus(cudaStreamSynchronize(stream_), "waiting for the device");
  }
  void* stream() override { return stream_; }
  int scorer_blocks() const override { return kScorerBlocks; }

  absl::StatusOr<std::unique_ptr<DeviceGraph>> Record(const std::function<absl::Status()>& body) override {
    RB_RETURN_IF_ERROR(
        CudaStatus(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "beginning a capture"));
    const absl::Status recorded = body();
    cudaGraph_t graph = nullptr;
    const absl::Status ended = CudaStatus(cudaStreamEndCapture(stream_, &graph), "ending a capture");
    cudaGraphExec_t executable = nullptr;
    absl::Status made = recorded.ok() ? ended : recorded;
    if (made.ok()) made = CudaStatus(cudaGraphInstantiate(&executable, graph, 0), "making a graph");
    if (graph != nullptr) cudaGraphDestroy(graph);
    RB_RETURN_IF_ERROR(made);
    return std::make_unique<CudaGraph>(executable, stream_);
  }

 private:
  explicit CudaRuntime(int device) : device_(device) {}
  int device_;
  cudaDeviceProp properties_ = {};
  cudaStream_t stream_ = nullptr;
};

RB_DEVICE_OPERATORS_STRUCT(CudaOperators, cuda);

#if defined(RB_HAVE_CUBLAS)
// The device with cuBLAS for the dense layer's products.
template <class A>
class CublasMachine : public DeviceMachine<CudaOperators, A> {
 public:
  static absl::StatusOr<std::unique_ptr<Machine>> Create(std::unique_ptr<DeviceRuntime> runtime, Precision precision) {
    std::unique_ptr<CublasMachine> machine(new CublasMachine(std::move(runtime), precision));
    machine->arena_ = machine->NewArena();
    CublasDense::Memory memory;
    RB_ASSIGN_OR_RETURN(memory.pointers, machine->arena_->template Allocate<void*>(CublasDense::kPointers * kMostModels,
                                                                                   "cuBLAS's lists of matrices"));
    RB_ASSIGN_OR_RETURN(memory.workspace,
                        machine->arena_->AllocateBytes(CublasDense::kWorkspaceBytes, "cuBLAS's workspace"));
    std::string error;
    machine->dense_ = CublasDense::Create(kMostModels, memory, &error);
    if (machine->dense_ == nullptr) return absl::UnavailableError(error);
    return machine;
  }
  std::string Describe() const override {
    return absl::StrCat(DeviceMachine<CudaOperators, A>::Describe(), ", dense layer by cuBLAS");
  }
  absl::Status DenseForward(const DenseForwardArgs<float>& args) override {
    return Status(dense_->Forward(args, this->run()), "DenseForward");
  }
  absl::Status DenseBackward(const DenseBackwardArgs<float>& args) override {
    return Status(dense_->Backward(args, this->run()), "DenseBackward");
  }

 private:
  static constexpr int kMostModels = 4096;  // live at once; more are refused by the operator
  CublasMachine(std::unique_ptr<DeviceRuntime> runtime, Precision precision)
      : DeviceMachine<CudaOperators, A>(std::move(runtime), precision) {}
  absl::Status Status(DeviceError error, const char* name) const {
    if (!error) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(name, " by cuBLAS: ", dense_->ErrorText(error)));
  }

  std::unique_ptr<Arena> arena_;
  std::unique_ptr<CublasDense> dense_;
};
#endif

template <class A>
absl::StatusOr<std::unique_ptr<Machine>> NewMachine(std::unique_ptr<DeviceRuntime> runtime, Precision precision,
                                                    DenseProducts dense) {
  if (dense == DenseProducts::kOwn) {
    return std::make_unique<DeviceMachine<CudaOperators, A>>(std::move(runtime), precision);
  }
#if defined(RB_HAVE_CUBLAS)
  return CublasMachine<A>::Create(std::move(runtime), precision);
#else
  return absl::UnavailableError("this build has no cuBLAS (no cublas_v2.h when it was made)");
#endif
}

}  // namespace

int CudaDevices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

absl::Status CudaAvailable(int device) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    return absl::UnavailableError("no NVIDIA driver that this build can use (it was made with CUDA 13)");
  }
  if (error != cudaSuccess || count == 0) {
    return absl::UnavailableError(
        absl::StrCat("no CUDA device (", error == cudaSuccess ? "none is visible" : cudaGetErrorString(error), ")"));
  }
  if (device >= count) {
    return absl::UnavailableError(absl::StrCat("no CUDA device ", device, "; there are ", count, ", counted from 0"));
  }
  int major = 0;
  RB_RETURN_IF_ERROR(CudaStatus(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
                                "asking for the compute capability"));
  if (major == 8 || major == 9) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("device ", device, " has compute capability ", major, ".x; this build has code for 8.x and 9.0"));
}

absl::StatusOr<std::unique_ptr<Machine>> MakeCudaMachine(int device, Precision precision, DenseProducts dense) {
  RB_RETURN_IF_ERROR(CudaAvailable(device));
  RB_ASSIGN_OR_RETURN(std::unique_ptr<DeviceRuntime> runtime, CudaRuntime::Create(device));
  return precision == Precision::kBf16 ? NewMachine<BFloat16>(std::move(runtime), precision, dense)
                                       : NewMachine<float>(std::move(runtime), precision, dense);
}

}  // namespace rb

#else

namespace rb {

int CudaDevices() { return 0; }
absl::Status CudaAvailable(int) { return absl::UnavailableError("this build has no CUDA (no nvcc when it was made)"); }
absl::StatusOr<std::unique_ptr<Machine>> MakeCudaMachine(int device, Precision, DenseProducts) {
  return CudaAvailable(device);
}

}  // namespace rb

#endif
