// The functions that -fsanitize=thread calls, with their names and types [compiler-rt, lib/tsan/rtl/tsan_interface.h
// and tsan_interface_atomic.h]: each tells counting.h, and does what an atomic one has to do. All orders of memory are
// the strictest one.
#include <atomic>
#include <cstdint>

#include "kernels/emulated/counting.h"

namespace {

template <class T>
std::atomic_ref<T> Counted(volatile void* address, bool reads, bool writes, void* place) {
  void* const at = const_cast<void*>(address);
  const auto key = reinterpret_cast<uintptr_t>(place);
  if (reads) rb::emu::CountAccess(at, sizeof(T), false, key);
  if (writes) rb::emu::CountAccess(at, sizeof(T), true, key);
  return std::atomic_ref<T>(*static_cast<T*>(at));
}

}  // namespace

#define RB_PLACE __builtin_return_address(0)
#define RB_ACCESS(Name, bytes, is_write)                                                   \
  void __tsan_##Name(void* address) {                                                      \
    rb::emu::CountAccess(address, bytes, is_write, reinterpret_cast<uintptr_t>(RB_PLACE)); \
  }
#define RB_ACCESSES(bytes)                       \
  RB_ACCESS(read##bytes, bytes, false)           \
  RB_ACCESS(write##bytes, bytes, true)           \
  RB_ACCESS(unaligned_read##bytes, bytes, false) \
  RB_ACCESS(unaligned_write##bytes, bytes, true) \
  RB_ACCESS(volatile_read##bytes, bytes, false)  \
  RB_ACCESS(volatile_write##bytes, bytes, true)

#define RB_CHANGE(bits, name, change)                                                    \
  uint##bits##_t __tsan_atomic##bits##_##name(volatile void* a, uint##bits##_t v, int) { \
    return Counted<uint##bits##_t>(a, true, true, RB_PLACE).change(v);                   \
  }
#define RB_COMPARE(bits, name)                                                                                      \
  int __tsan_atomic##bits##_compare_exchange_##name(volatile void* a, void* expected, uint##bits##_t v, int, int) { \
    return Counted<uint##bits##_t>(a, true, true, RB_PLACE)                                                         \
        .compare_exchange_strong(*static_cast<uint##bits##_t*>(expected), v);                                       \
  }
#define RB_ATOMICS(bits)                                                                               \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile void* a, int) {                             \
    return Counted<uint##bits##_t>(const_cast<volatile void*>(a), true, false, RB_PLACE).load();       \
  }                                                                                                    \
  void __tsan_atomic##bits##_store(volatile void* a, uint##bits##_t v, int) {                          \
    Counted<uint##bits##_t>(a, false, true, RB_PLACE).store(v);                                        \
  }                                                                                                    \
  RB_CHANGE(bits, exchange, exchange)                                                                  \
  RB_CHANGE(bits, fetch_add, fetch_add)                                                                \
  RB_CHANGE(bits, fetch_sub, fetch_sub)                                                                \
  RB_CHANGE(bits, fetch_and, fetch_and)                                                                \
  RB_CHANGE(bits, fetch_or, fetch_or)                                                                  \
  RB_CHANGE(bits, fetch_xor, fetch_xor)                                                                \
  RB_COMPARE(bits, strong)                                                                             \
  RB_COMPARE(bits, weak)                                                                               \
  uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile void* a, uint##bits##_t expected, \
                                                            uint##bits##_t v, int, int) {              \
    Counted<uint##bits##_t>(a, true, true, RB_PLACE).compare_exchange_strong(expected, v);             \
    return expected;                                                                                   \
  }

extern "C" {

RB_ACCESSES(1)
RB_ACCESSES(2)
RB_ACCESSES(4)
RB_ACCESSES(8)
RB_ACCESSES(16)
void __tsan_read_range(void* address, unsigned long bytes) {
  rb::emu::CountAccess(address, static_cast<uint32_t>(bytes), false, reinterpret_cast<uintptr_t>(RB_PLACE));
}
void __tsan_write_range(void* address, unsigned long bytes) {
  rb::emu::CountAccess(address, static_cast<uint32_t>(bytes), true, reinterpret_cast<uintptr_t>(RB_PLACE));
}
RB_ATOMICS(8)
RB_ATOMICS(16)
RB_ATOMICS(32)
RB_ATOMICS(64)

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) { std::atomic_thread_fence(std::memory_order_seq_cst); }
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
