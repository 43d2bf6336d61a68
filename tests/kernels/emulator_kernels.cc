#include "tests/kernels/emulator_kernels.h"

#include "kernels/device/dialect.h"

namespace rb::dialect {
namespace {

using emu::DefectArgs;

__device__ inline bool BarrierDefect(const DefectArgs& args, float* s) {
  const float* const x = args.x;
  float* const y = args.y;
  const int t = static_cast<int>(threadIdx.x), last = kDefectThreads - 1;
  switch (args.defect) {
    case Defect::kNone:
      s[t] = x[t];
      __syncthreads();
      y[t] = s[last - t];
      return true;
    case Defect::kMissingBarrier:
      s[t] = x[t];
      y[t] = s[last - t];
      return true;
    case Defect::kBarrierOfSomeThreads:
      if (t < 64) __syncthreads();
      y[t] = x[t];
      return true;
    case Defect::kBarriersInTwoPlaces:
      if (t < 64) {
        __syncthreads();
      } else {
        __syncthreads();
      }
      y[t] = x[t];
      return true;
    case Defect::kBarrierBehindEarlyReturn:
      if (t < 64) return true;
      __syncthreads();
      y[t] = x[t];
      return true;
    case Defect::kWriteAfterRead: {
      s[t] = x[t];
      __syncthreads();
      const float other = s[t ^ 64];
      s[t] = 2 * other;  // the thread t ^ 64 may not have read yet
      __syncthreads();
      y[t] = s[t];
      return true;
    }
    case Defect::kNamedBarrierCountsDiffer:
      BlockBarrier(1, t < 64 ? 96 : 128);
      return true;
    case Defect::kNamedBarrierWaitsForever:
      if (t < 32) BlockBarrier(1, 64);
      return true;
    case Defect::kNamedBarrierZero:
      BlockBarrier(0, kDefectThreads);
      return true;
    case Defect::kNamedBarrierOfPartOfAWarp:
      BlockBarrier(1, 48);
      return true;
    case Defect::kNamedBarrierOfHalfWarps:
      if (t % 2) BlockBarrier(1, 64);
      return true;
    default:
      return false;
  }
}

__device__ inline bool MemoryDefect(const DefectArgs& args, float* s) {
  const float* const x = args.x;
  float* const y = args.y;
  const int t = static_cast<int>(threadIdx.x);
  switch (args.defect) {
    case Defect::kSharedOverrunWrite:
      s[t + 1] = x[t];
      return true;
    case Defect::kSharedOverrunRead:
      s[t] = x[t];
      __syncthreads();
      y[t] = s[t + 1];
      return true;
    case Defect::kDynamicOverrunWrite: {
      RB_DYNAMIC_SHARED(float, dynamic);
      dynamic[t + 1] = x[t];
      return true;
    }
    case Defect::kGlobalOverrun:
      y[t] = x[t + 1];
      return true;
    case Defect::kUninitialisedShared:
      y[t] = s[t];
      return true;
    case Defect::kIntegerOverflow: {
      int i = 2147483647 - 64;
      i += static_cast<int>(x[0]) + t;
      y[t] = static_cast<float>(i);
      return true;
    }
    case Defect::kBlocksWriteTheSame:
      y[t] = x[t];
      return true;
    case Defect::kBlocksWriteTheSameBehindBarrier:
      s[t] = x[t];
      __syncthreads();
      y[t] = s[t ^ 1];
      return true;
    case Defect::kRelaxedTicket:
      if (t == 0) {
        y[1 + blockIdx.x] = x[0];
        if (atomicAdd(args.counter, 1) == static_cast<int>(gridDim.x) - 1) {
          for (unsigned i = 0; i < gridDim.x; ++i) y[0] += y[1 + i];
        }
      }
      return true;
    case Defect::kTooMuchStaticShared: {
      RB_SHARED(large, float[12 << 10]);
      RB_SHARED(more, float[32]);
      large[t] = more[t % 32] = x[t];
      return true;
    }
    default:
      return false;
  }
}

__device__ inline bool CopyDefect(const DefectArgs& args, float* s) {
  const float* const x = args.x;
  float* const y = args.y;
  const int t = static_cast<int>(threadIdx.x);
  const bool copies = t < kDefectThreads / 4;
  uint32_t r[4];
  switch (args.defect) {
    case Defect::kMissingCopyWait:
      if (copies) CpAsync16(s + 4 * t, x + 4 * t);
      CpAsyncCommit();
      __syncthreads();
      y[t] = s[t];
      return true;
    case Defect::kMissingCopyCommit:
      if (copies) CpAsync16(s + 4 * t, x + 4 * t);
      CpAsyncWait<0>();
      __syncthreads();
      y[t] = s[t];
      return true;
    case Defect::kMissingBarrierBehindCopy:
      if (copies) CpAsync16(s + 4 * t, x + 4 * t);
      CpAsyncCommit();
      CpAsyncWait<0>();
      y[t] = s[kDefectThreads - 1 - t];
      return true;
    case Defect::kCopyOverRead:
      s[t] = x[t];
      __syncthreads();
      y[t] = s[kDefectThreads - 1 - t];
      if (copies) CpAsync16(s + 4 * t, x + 4 * t);  // others may not have read yet
      CpAsyncCommit();
      CpAsyncWait<0>();
      return true;
    case Defect::kMisalignedCopy:
      CpAsync16(s + 1, x);
      return true;
    case Defect::kCopyToGlobal:
      CpAsync16(y, x);
      return true;
    case Defect::kMisalignedMatrixRow:
      LdMatrix4(r, s + 2);
      return true;
    case Defect::kMatrixRowInGlobal:
      LdMatrix4(r, x);
      return true;
    case Defect::kMissingBarrierBeforeMatrix:
      s[kDefectThreads - 1 - t] = x[t];
      LdMatrix4(r, s + 4 * (t % 32));
      y[t] = __uint_as_float(r[0]);
      return true;
    default:
      return false;
  }
}

__device__ inline bool WarpDefect(const DefectArgs& args, float* s) {
  const float* const x = args.x;
  float* const y = args.y;
  const int t = static_cast<int>(threadIdx.x);
  float v = x[t];
  switch (args.defect) {
    case Defect::kHalfTheLanesShuffle:
      if (t % 2) v += __shfl_xor_sync(kAllLanes, v, 1);
      y[t] = v;
      return true;
    case Defect::kShuffleFromOutsideMask:
      if (t % 32 < 16) v += __shfl_xor_sync(0xFFFFu, v, 16);
      y[t] = v;
      return true;
    case Defect::kShufflesInTwoPlaces:
      if (t % 2) {
        v += __shfl_xor_sync(kAllLanes, v, 1);
      } else {
        v += __shfl_xor_sync(kAllLanes, v, 1);
      }
      y[t] = v;
      return true;
    case Defect::kCallerOutsideMask:
      __syncwarp(0xFFFEu);
      return true;
    case Defect::kShuffleAsFence:
      s[t] = v;
      v = __shfl_xor_sync(kAllLanes, v, 1);
      y[t] = v + s[t ^ 2];
      return true;
    case Defect::kWarpExchange:
      s[t] = v;
      __syncwarp();
      y[t] = s[t ^ 2];
      __syncwarp();
      s[t ^ 2] = v;
      __syncwarp();
      y[t] += s[t];
      return true;
    default:
      return false;
  }
}

__global__ void DefectKernel(DefectArgs args) {
  if (args.defect == Defect::kMissingDependencyWait) return;
  DependencyWait();
  RB_SHARED(s, float[kSharedFloats]);
  if (BarrierDefect(args, s) || MemoryDefect(args, s) || CopyDefect(args, s)) return;
  WarpDefect(args, s);
}

__global__ void ClusterDefectKernel(DefectArgs args) {
  DependencyWait();
  RB_SHARED(s, float[kSharedFloats]);
  const int t = static_cast<int>(threadIdx.x);
  s[t] = args.x[t];
  if (args.defect != Defect::kMissingClusterSync) ClusterSync();
  const unsigned other = args.defect == Defect::kClusterRankOutOfRange ? 2 : 1;
  if (args.defect == Defect::kClusterReadBehindItsEnd && ClusterRank() == 0) {
    __syncthreads();  // meanwhile the other block returns
    __syncthreads();
  }
  if (ClusterRank() == 0) args.y[t] = ClusterMap(s, other)[t];
  if (args.defect == Defect::kNone || args.defect == Defect::kMissingClusterSync) ClusterSync();
}

__global__ void ShapeKernel() { DependencyWait(); }

__global__ void ScaleAndAddKernel(const float* x, float* y, float scale) {
  DependencyWait();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  y[i] += scale * x[i];
}

__global__ void OrderKernel(int* order, int* counter) {
  DependencyWait();
  order[atomicAdd(counter, 1)] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

}  // namespace

namespace RB_MACHINE {

DeviceError RunDefect(const DefectArgs& args, int blocks, const DeviceRun& run) {
  return Launch({dim3(static_cast<unsigned>(blocks)), dim3(kDefectThreads), sizeof(float) * kDefectThreads, run.stream},
                DefectKernel, args);
}
DeviceError RunDefectInCluster(const DefectArgs& args, int blocks, const DeviceRun& run) {
  return Launch({dim3(static_cast<unsigned>(blocks)), dim3(kDefectThreads), 0, run.stream, 2}, ClusterDefectKernel,
                args);
}
DeviceError RunShape(const LaunchShape& shape, const DeviceRun& run) {
  return Launch({dim3(shape.grid_x, shape.grid_y, shape.grid_z), dim3(shape.block_x, shape.block_y, shape.block_z),
                 shape.shared, run.stream, shape.cluster},
                ShapeKernel);
}
DeviceError ScaleAndAdd(const float* x, float* y, float scale, const DeviceRun& run) {
  return Launch({dim3(2), dim3(kDefectThreads / 2), 0, run.stream}, ScaleAndAddKernel, x, y, scale);
}
DeviceError Order(int* order, int* counter, int blocks, const DeviceRun& run) {
  return Launch({dim3(static_cast<unsigned>(blocks)), dim3(kDefectThreads), 0, run.stream}, OrderKernel, order,
                counter);
}

}  // namespace RB_MACHINE
}  // namespace rb::dialect
