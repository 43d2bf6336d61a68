#include "kernels/emulated/fiber.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>

#include "kernels/emulated/sanitizers.h"

namespace rb::emu {

namespace context = boost::context::detail;

namespace {

// A kernel's frame is its registers (1 KiB at most) and what sanitizers put around local arrays.
constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kGuardBytes = 4 << 10;
constexpr size_t kPitch = kStackBytes + kGuardBytes;
// Stacks begin at different offsets, or their hot lines would all fall into the same sets of the caches.
constexpr size_t kColors = 61, kColorBytes = 128;

}  // namespace

struct FiberEntry {
  static void Run(context::transfer_t transfer) { static_cast<Fibers*>(transfer.data)->Begin(transfer.fctx); }
};

void TsanIdentities::Begin(size_t threads) {
  // An odd number of sets: blocks that write the same are often 8 apart.
  const size_t sets = threads <= 64 ? 9 : threads <= 128 ? 5 : threads <= 256 ? 3 : 2;
  begin_ += threads_;
  threads_ = threads;
  if (begin_ + threads_ > sets * threads_) begin_ = 0;
  if (ring_.size() < begin_ + threads_) ring_.resize(begin_ + threads_);
}

void* TsanIdentities::Get([[maybe_unused]] size_t thread) {
#if defined(RB_TSAN)
  void*& identity = ring_[begin_ + thread];
  if (!identity) identity = __tsan_create_fiber(0);
  return identity;
#else
  return nullptr;
#endif
}

void TsanIdentities::DropCurrent() {
#if defined(RB_TSAN)
  for (size_t i = begin_; i < begin_ + threads_; ++i) {
    if (ring_[i]) __tsan_destroy_fiber(ring_[i]);
    ring_[i] = nullptr;
  }
#endif
}

void TsanIdentities::DropAll() {
  begin_ = 0;
  threads_ = ring_.size();
  DropCurrent();
}

Fibers::~Fibers() { Free(); }

void Fibers::Begin(void* resumer) {
#if defined(RB_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &resumer_stack_, &resumer_stack_bytes_);
#endif
  resumer_ = resumer;
  for (;;) {
    main_(argument_);
    Suspend();
  }
}

void Fibers::Suspend() {
  [[maybe_unused]] Fiber* const self = current_;
#if defined(RB_TSAN)
  __tsan_switch_to_fiber(resumer_tsan_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(RB_ASAN)
  __sanitizer_start_switch_fiber(&self->fake_stack, resumer_stack_, resumer_stack_bytes_);
#endif
  const context::transfer_t back = context::jump_fcontext(resumer_, this);
#if defined(RB_ASAN)
  __sanitizer_finish_switch_fiber(self->fake_stack, &resumer_stack_, &resumer_stack_bytes_);
#endif
  resumer_ = back.fctx;
}

void Fibers::Resume(size_t index) {
  Fiber& fiber = fibers_[index];
  current_ = &fiber;
#if defined(RB_TSAN)
  __tsan_switch_to_fiber(fiber.tsan, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(RB_ASAN)
  __sanitizer_start_switch_fiber(&resumer_fake_stack_, fiber.stack, kStackBytes);
#endif
  const context::transfer_t back = context::jump_fcontext(fiber.context, this);
#if defined(RB_ASAN)
  __sanitizer_finish_switch_fiber(resumer_fake_stack_, nullptr, nullptr);
#endif
  fiber.context = back.fctx;
}

bool Fibers::Provide(size_t count) {
#if defined(RB_TSAN)
  resumer_tsan_ = __tsan_get_current_fiber();
  identities_.Begin(count);
#endif
  if (!kThreadSanitizer && count <= fibers_.size()) return true;
  Free();
  return Allocate(count);
}

void Fibers::Abandon([[maybe_unused]] void* released) {
  for (Fiber& fiber : fibers_) {
    Permit(fiber.stack, kStackBytes);
#if defined(RB_TSAN)
    __tsan_switch_to_fiber(fiber.tsan, __tsan_switch_to_fiber_no_sync);
    SyncRelease(released);
    __tsan_switch_to_fiber(resumer_tsan_, __tsan_switch_to_fiber_no_sync);
#endif
  }
  identities_.DropCurrent();
  Free();
}

bool Fibers::Allocate(size_t count) {
  void* const memory =
      mmap(nullptr, count * kPitch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  memory_ = static_cast<char*>(memory);
  fibers_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    char* const guard = memory_ + i * kPitch;
    // TSan's stacks are new for every block: a system call each would be most of the time.
    if (!kThreadSanitizer && mprotect(guard, kGuardBytes, PROT_NONE) != 0) {
      Free();
      return false;
    }
    const size_t color = i % kColors * kColorBytes;
    fibers_[i].stack = guard + kGuardBytes;
    fibers_[i].context =
        context::make_fcontext(fibers_[i].stack + kStackBytes - color, kStackBytes - color, &FiberEntry::Run);
#if defined(RB_TSAN)
    fibers_[i].tsan = identities_.Get(i);
#endif
  }
  return true;
}

void Fibers::Free() {
  if (memory_) munmap(memory_, fibers_.size() * kPitch);
  memory_ = nullptr;
  fibers_.clear();
}

}  // namespace rb::emu
