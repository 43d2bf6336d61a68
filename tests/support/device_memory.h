// Memory for tests that the CPU, the emulation and a real device all reach by the same address: pinned and mapped when
// there is a device, else ordinary.
#ifndef RB_TESTS_SUPPORT_DEVICE_MEMORY_H_
#define RB_TESTS_SUPPORT_DEVICE_MEMORY_H_

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include "kernels/device.h"

namespace rb::test {

inline bool HasDevice() {
#if defined(RB_HAVE_CUDA)
  static const bool has = cuda::DeviceCount() > 0;
  return has;
#else
  return false;
#endif
}

inline void* AllocateForAll(size_t bytes) {
#if defined(RB_HAVE_CUDA)
  if (HasDevice()) return cuda::AllocateMapped(bytes);
#endif
  void* memory = nullptr;
  return posix_memalign(&memory, 128, bytes) == 0 ? memory : nullptr;
}

inline void FreeForAll(void* memory) {
#if defined(RB_HAVE_CUDA)
  if (HasDevice()) return cuda::FreeMapped(memory);
#endif
  std::free(memory);
}

template <class T>
struct AllocatorForAll {
  using value_type = T;
  AllocatorForAll() = default;
  template <class U>
  AllocatorForAll(const AllocatorForAll<U>&) {}  // NOLINT: allocators convert
  T* allocate(size_t count) {
    void* memory = AllocateForAll(count * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { FreeForAll(memory); }
  friend bool operator==(const AllocatorForAll&, const AllocatorForAll&) { return true; }
};

// What tests hand to operators besides Tensor: tables, states, lists.
template <class T>
using DeviceVector = std::vector<T, AllocatorForAll<T>>;

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_DEVICE_MEMORY_H_
