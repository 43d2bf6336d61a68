// cuBLAS, loaded when it is asked for: the program starts, and does all else, where the library is missing.
#ifndef RB_ENGINE_CUBLAS_LIBRARY_H_
#define RB_ENGINE_CUBLAS_LIBRARY_H_

#include <cublas_v2.h>

#include <string>

namespace rb {

// The functions of cuBLAS that are used, under the types its header gives them.
struct CublasLibrary {
  // cublasGemmBatchedEx, which the header overloads.
  using GemmBatched = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                                         const void* alpha, const void* const a[], cudaDataType, int lda,
                                         const void* const b[], cudaDataType, int ldb, const void* beta,
                                         void* const c[], cudaDataType, int ldc, int count, cublasComputeType_t,
                                         cublasGemmAlgo_t);
  decltype(&cublasCreate) create = nullptr;
  decltype(&cublasDestroy) destroy = nullptr;
  decltype(&cublasSetStream) set_stream = nullptr;
  decltype(&cublasSetWorkspace) set_workspace = nullptr;
  GemmBatched gemm_batched = nullptr;
  decltype(&cublasGetStatusString) status_string = nullptr;

  // The one of the major version this was compiled for, from the loader's path; loaded once. Null, with the reason in
  // `error`, when it cannot be had.
  static const CublasLibrary* Load(std::string* error);
};

}  // namespace rb

#endif  // RB_ENGINE_CUBLAS_LIBRARY_H_
