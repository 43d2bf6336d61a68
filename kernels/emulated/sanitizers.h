// What the emulation tells the sanitizers; nothing in other builds. RB_ASAN and RB_TSAN are set by CMake.
//
// TSan judges kernels, not the emulation: every CUDA thread is a fiber of its own to it, and what is ordered between
// them is exactly what barriers, __syncwarp and TicketArrive order. Hence the emulation's own sources are compiled
// without -fsanitize=thread, switches between fibers order nothing, and the order that CUDA promises is announced here.
#ifndef RB_KERNELS_EMULATED_SANITIZERS_H_
#define RB_KERNELS_EMULATED_SANITIZERS_H_

#include <cstddef>

#if defined(RB_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(RB_TSAN)
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace rb::emu {

#if defined(RB_TSAN)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// All before a SyncRelease(object) happens before all behind a later SyncAcquire(object).
inline void SyncRelease([[maybe_unused]] void* object) {
#if defined(RB_TSAN)
  __tsan_release(object);
#endif
}
inline void SyncAcquire([[maybe_unused]] void* object) {
#if defined(RB_TSAN)
  __tsan_acquire(object);
#endif
}

// While one lives, this fiber's accesses are not judged: it moves other lanes' registers. No switch of fibers inside.
class UnjudgedAccesses {
 public:
#if defined(RB_TSAN)
  UnjudgedAccesses() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~UnjudgedAccesses() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
#else
  UnjudgedAccesses() {}
  ~UnjudgedAccesses() {}
#endif
  UnjudgedAccesses(const UnjudgedAccesses&) = delete;
  UnjudgedAccesses& operator=(const UnjudgedAccesses&) = delete;
};

// Memory that must not be accessed, or may be again.
inline void Forbid([[maybe_unused]] const void* memory, [[maybe_unused]] size_t bytes) {
#if defined(RB_ASAN)
  ASAN_POISON_MEMORY_REGION(memory, bytes);
#endif
}
inline void Permit([[maybe_unused]] const void* memory, [[maybe_unused]] size_t bytes) {
#if defined(RB_ASAN)
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
#endif
}

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_SANITIZERS_H_
