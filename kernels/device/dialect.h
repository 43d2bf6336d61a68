// What kernel files are written in: CUDA C++ without inline assembly and without <<< >>>, so that nvcc compiles a file
// for the device and g++ compiles the same file against the emulation (kernels/emulated). Both give
//
//   RB_MACHINE                      the namespace of this compilation's launchers: cuda or emu
//   RB_SHARED(name, type)           static shared memory, 16-byte aligned, uninitialised (the emulation: NaN)
//   RB_DYNAMIC_SHARED(T, name)      the launch's dynamic shared memory, 128-byte aligned
//   Launch(LaunchConfig, kernel, arguments...) -> DeviceError
//   SharedMemoryLimit()             on the host: bytes of shared memory that a block can have at most
//   BlockBarrier(id, threads)       bar.sync: a barrier of `threads` threads (whole warps), id 1..15
//   ThreadNow()                     threadIdx.x, read anew: what is made of it is not kept in registers between uses
//   PrefetchL2(from)                asks for the 128-byte line in L2; the address must be the tensor's
//   PackBf16(low, high)             two floats to two bf16, to nearest even
//   ToTf32(x)                       float to tf32 bits, to nearest, ties away (cvt.rna)
//   Mma16816(d, a, b)               d[4] += A(16x16) B(16x8), bf16 in, fp32 out; fragments as mma.sync.m16n8k16
//   Mma1688(d, a, b)                d[4] += A(16x8) B(8x8), tf32 in, fp32 out; fragments as mma.sync.m16n8k8
//   LdMatrix4(r, row)               ldmatrix.x4: four 8x8 matrices of 16-bit values, lane i gives the address of row
//   LdMatrix4Trans(r, row)          i % 8 of matrix i / 8; transposed
//   LdMatrix2, LdMatrix2Trans       two matrices, lanes 0..15 give the addresses (the others' must be valid too)
//   CpAsync16(to, from), CpAsync16Zero(to, from, valid), CpAsyncCommit(), CpAsyncWait<n>()
//                                   16 bytes global to shared, asynchronously; Zero: zeros when !valid, from is not
//                                   read
//   ClusterRank(), ClusterSync(), ClusterMap(pointer, rank)
//   TicketArrive(counter)           integer arrival counter in global memory, acquire-release; returns the count before
//   DependencyWait()                first statement of every kernel, in all threads: waits for the launch before it
//                                   (programmatic dependent launch). A kernel that did not wait could end, and let the
//                                   launch behind it begin, before the launch ahead of it had ended
//   DependencyTrigger()             lets the next launch begin; optional, after the last global read
// besides threadIdx, blockIdx, blockDim, gridDim, __syncthreads, __syncwarp, shuffles, votes, __ldg, atomicAdd,
// atomicMax (int, unsigned), __popc, __ffs, fmaf, rsqrtf, float2, float4, uint2, uint4, int4 and their make_ functions.
//
// Rules: only block-uniform returns before a barrier; exact masks; __syncwarp around shared memory that lanes of a warp
// exchange; no spinning on other blocks; no floating-point atomics; kernels in an anonymous namespace.
#ifndef RB_KERNELS_DEVICE_DIALECT_H_
#define RB_KERNELS_DEVICE_DIALECT_H_

#if defined(__CUDACC__)
#include "kernels/device/dialect_cuda.h"
#else
#include "kernels/emulated/dialect_emulated.h"
#endif

namespace rb {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

}  // namespace rb

#endif  // RB_KERNELS_DEVICE_DIALECT_H_
