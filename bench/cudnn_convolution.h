// cuDNN's convolutions on our shapes, all models at once: as one grouped convolution (a group a model) in either tensor
// layout, or as one call a model; of each pass the fastest arrangement and algorithm that cudnnFind* reports.
#ifndef RB_BENCH_CUDNN_CONVOLUTION_H_
#define RB_BENCH_CUDNN_CONVOLUTION_H_

#include <cudnn.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/device_memory.h"
#include "bench/device_row.h"

namespace rb::bench {

inline absl::Status CudnnStatus(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuDNN, ", what, ": ", cudnnGetErrorString(status)));
}

enum class Arrangement { kGroupsNchw, kGroupsNhwc, kLoopNhwc };
enum class Pass { kForward, kBackwardData, kBackwardFilter };

// What precision means to cuDNN.
struct CudnnNumbers {
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnMathType_t math = CUDNN_FMA_MATH;
  size_t bytes = 4;
  explicit CudnnNumbers(Precision precision);
};

// Descriptors are destroyed with their owner.
template <class Handle, cudnnStatus_t (*Make)(Handle*), cudnnStatus_t (*Destroy)(Handle)>
class Described {
 public:
  Described() { made_ = Make(&handle_); }
  ~Described() {
    if (made_ == CUDNN_STATUS_SUCCESS) Destroy(handle_);
  }
  Described(const Described&) = delete;
  Described& operator=(const Described&) = delete;
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
  cudnnStatus_t made_;
};
using TensorDescriptor = Described<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using FilterDescriptor = Described<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor =
    Described<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor>;

// One layer in one arrangement.
class CudnnConvolution {
 public:
  struct Layer {
    int models, batch, length, in, out, width, dilation;
    int64_t inputs() const { return int64_t{models} * batch * length * in; }
    int64_t outputs() const { return int64_t{models} * batch * length * out; }
    int64_t weights() const { return int64_t{models} * width * in * out; }
  };
  // Of these a pass reads two and writes the third.
  struct Operands {
    void *x, *w, *y;
  };
  static absl::StatusOr<std::unique_ptr<CudnnConvolution>> Create(cudnnHandle_t handle, const CudnnNumbers& numbers,
                                                                  const Layer& layer, Arrangement arrangement);
  // Chooses the algorithm; returns milliseconds of all models.
  absl::StatusOr<float> Find(Pass pass, const Operands& operands, const DeviceMemory& workspace);
  absl::Status Run(Pass pass, const Operands& operands, const DeviceMemory& workspace) const;
  std::string Describe(Pass pass) const;  // "grouped NHWC, algorithm 1"

 private:
  CudnnConvolution(cudnnHandle_t handle, const CudnnNumbers& numbers, const Layer& layer, Arrangement arrangement)
      : handle_(handle), numbers_(numbers), layer_(layer), arrangement_(arrangement) {}
  absl::Status Prepare();
  template <class Perf>
  absl::StatusOr<float> Choose(Pass pass, const std::vector<Perf>& found, size_t workspace);
  int calls() const { return arrangement_ == Arrangement::kLoopNhwc ? layer_.models : 1; }

  cudnnHandle_t handle_;
  CudnnNumbers numbers_;
  Layer layer_;
  Arrangement arrangement_;
  TensorDescriptor x_, y_;
  FilterDescriptor w_;
  ConvolutionDescriptor convolution_[3];  // by pass: the algorithm decides the kind of arithmetic
  int algorithm_[3] = {};
};

// A handle on the machine's stream, operands, and the fastest arrangement of every layer and pass that was asked for.
class CudnnPeer : public Peer {
 public:
  static absl::StatusOr<CudnnPeer*> Of(Workbench& bench);
  ~CudnnPeer() override;
  // With input set `set`; memory grows when it is asked for the first time.
  absl::Status Run(const CudnnConvolution::Layer& layer, Pass pass, int set);
  std::string Describe(const CudnnConvolution::Layer& layer, Pass pass) const;
  cudnnHandle_t handle() const { return handle_; }

 private:
  struct Best {
    std::unique_ptr<CudnnConvolution> convolution;
    float milliseconds = 0;
  };
  using Key = std::tuple<int, int, int, Pass>;  // in, width, dilation
  static absl::StatusOr<std::unique_ptr<CudnnPeer>> Create(Workbench& bench);
  explicit CudnnPeer(Precision precision) : numbers_(precision) {}
  absl::StatusOr<const Best*> Fastest(const CudnnConvolution::Layer& layer, Pass pass);

  CudnnNumbers numbers_;
  cudnnHandle_t handle_ = nullptr;
  absl::StatusOr<CudnnConvolution::Operands> Set(int set);

  size_t tensor_bytes_ = 0, weight_bytes_ = 0;  // of one set
  DeviceMemory x_, y_, w_, workspace_;
  std::map<Key, Best> best_;
};

inline constexpr size_t kCudnnWorkspace = size_t{1} << 30;

}  // namespace rb::bench

#endif  // RB_BENCH_CUDNN_CONVOLUTION_H_
