// The kernel dialect (kernels/device/dialect.h) for nvcc.
#ifndef RB_KERNELS_DEVICE_DIALECT_CUDA_H_
#define RB_KERNELS_DEVICE_DIALECT_CUDA_H_

#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/device.h"

#define RB_MACHINE cuda
#define RB_SHARED(name, ...) \
  alignas(16) alignas(std::type_identity_t<__VA_ARGS__>) __shared__ std::type_identity_t<__VA_ARGS__> name
#define RB_DYNAMIC_SHARED(T, name)                                    \
  extern __shared__ __align__(128) unsigned char rb_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(rb_dynamic_shared)

namespace rb {

struct LaunchConfig {
  dim3 grid, block;
  size_t shared = 0;  // dynamic, bytes
  void* stream = nullptr;
  unsigned cluster = 1;  // blocks along x
};

// True from compute capability 9.0 on: programmatic dependent launch and clusters.
inline bool HasDependentLaunch() {
  static const bool has = [] {
    int device = 0, major = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
  }();
  return has;
}

// The most shared memory a block of this device can have, in bytes: 227 KB on compute capability 9.0, 163 KB on 8.0.
inline int SharedMemoryLimit() {
  static const int limit = [] {
    int device = 0, bytes = 0;
    const bool known = cudaGetDevice(&device) == cudaSuccess &&
                       cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) == cudaSuccess;
    return known ? bytes : 48 << 10;
  }();
  return limit;
}

// A launch that may begin while the launch before it on the stream still runs: kernels wait (DependencyWait).
template <class... Parameters, class... Arguments>
DeviceError Launch(const LaunchConfig& config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (config.shared > (48u << 10)) {
    const cudaError_t raised =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(config.shared));
    if (raised != cudaSuccess) return {static_cast<int>(raised)};
  }
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = HasDependentLaunch();
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = config.cluster;
  attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t launch = {};
  launch.gridDim = config.grid;
  launch.blockDim = config.block;
  launch.dynamicSmemBytes = config.shared;
  launch.stream = static_cast<cudaStream_t>(config.stream);
  launch.attrs = attributes;
  launch.numAttrs = config.cluster > 1 ? 2 : HasDependentLaunch() ? 1 : 0;
  return {static_cast<int>(cudaLaunchKernelEx(&launch, kernel, std::forward<Arguments>(arguments)...))};
}

__device__ inline void BlockBarrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}

__device__ inline int ThreadNow() {
  int thread;
  asm volatile("mov.u32 %0, %tid.x;\n" : "=r"(thread));
  return thread;
}

__device__ inline void PrefetchL2(const void* from) { asm volatile("prefetch.global.L2 [%0];\n" ::"l"(from)); }

__device__ inline uint32_t PackBf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

__device__ inline uint32_t ToTf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;\n" : "=r"(bits) : "f"(x));
  return bits;
}

__device__ inline void Mma16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ inline void Mma1688(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ inline uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ inline void LdMatrix4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row))
               : "memory");
}
__device__ inline void LdMatrix4Trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row))
               : "memory");
}
__device__ inline void LdMatrix2(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(SharedAddress(row))
               : "memory");
}
__device__ inline void LdMatrix2Trans(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(SharedAddress(row))
               : "memory");
}

__device__ inline void CpAsync16(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(SharedAddress(to)), "l"(from) : "memory");
}
__device__ inline void CpAsync16Zero(void* to, const void* from, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(SharedAddress(to)), "l"(from), "r"(bytes)
               : "memory");
}
__device__ inline void CpAsyncCommit() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
template <int kPending>
__device__ inline void CpAsyncWait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
}

// Clusters begin with compute capability 9.0; kernels that use them are launched there only.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
__device__ inline unsigned ClusterRank() { return cooperative_groups::this_cluster().block_rank(); }
__device__ inline void ClusterSync() { cooperative_groups::this_cluster().sync(); }
template <class T>
__device__ inline T* ClusterMap(T* pointer, unsigned rank) {
  return cooperative_groups::this_cluster().map_shared_rank(pointer, rank);
}
#else
__device__ inline unsigned ClusterRank() { return 0; }
__device__ inline void ClusterSync() { __trap(); }
template <class T>
__device__ inline T* ClusterMap(T* pointer, unsigned) {
  return pointer;
}
#endif

__device__ inline int TicketArrive(int* counter) {
  __threadfence();
  const int before = atomicAdd(counter, 1);
  __threadfence();
  return before;
}

__device__ inline void DependencyWait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;\n" ::: "memory");
#endif
}
__device__ inline void DependencyTrigger() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;\n" ::: "memory");
#endif
}

}  // namespace rb

#endif  // RB_KERNELS_DEVICE_DIALECT_CUDA_H_
