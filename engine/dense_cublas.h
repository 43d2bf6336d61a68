// The dense layer's products by cuBLAS, behind the contracts of kernels/dense.h: what our own kernels are measured
// against. One batched call a product, the live models as its batch, on pointers that a small kernel writes.
//
// cuBLAS multiplies `batch` rows of every live model, however many a model has. Two differences from our kernels
// follow:
//   - what lies behind a model's rows in z and dx, and all of a model that sits the step out in z, dx and dw, holds no
//     meaning afterwards; dh is zero there;
//   - x must hold finite values in all `batch` rows (values of an earlier step do), or dw is not a number.
#ifndef RB_ENGINE_DENSE_CUBLAS_H_
#define RB_ENGINE_DENSE_CUBLAS_H_

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/dense.h"

struct cublasContext;

namespace rb {

struct CublasLibrary;

class CublasDense {
 public:
  // Memory of the device, lent for the object's life. A workspace of one's own keeps results the same from run to run
  // and calls fit for capture into a graph.
  struct Memory {
    void** pointers = nullptr;  // kPointers * models
    void* workspace = nullptr;  // kWorkspaceBytes
  };
  static constexpr int kPointers = 5;
  static constexpr size_t kWorkspaceBytes = size_t{32} << 20;

  // For at most `models` live models. Null, with the reason in `error`, where cuBLAS is missing or does not start.
  static std::unique_ptr<CublasDense> Create(int models, const Memory& memory, std::string* error);
  ~CublasDense();
  CublasDense(const CublasDense&) = delete;
  CublasDense& operator=(const CublasDense&) = delete;

  DeviceError Forward(const DenseForwardArgs<float>& args, const DeviceRun& run);
  DeviceError Backward(const DenseBackwardArgs<float>& args, const DeviceRun& run);
  // Of errors of both kinds, cuBLAS' and CUDA's.
  const char* ErrorText(DeviceError error) const;

 private:
  struct Product;
  CublasDense(const CublasLibrary& library, cublasContext* handle, int models, const Memory& memory)
      : library_(library), handle_(handle), models_(models), memory_(memory) {}
  DeviceError Multiply(const Product& product, int count, const DeviceRun& run);

  const CublasLibrary& library_;
  cublasContext* const handle_;
  const int models_;
  const Memory memory_;
};

}  // namespace rb

#endif  // RB_ENGINE_DENSE_CUBLAS_H_
