// The kernels' side: each function here runs on the fiber of the thread that calls.
#include "kernels/emulated/scheduler.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "kernels/emulated/observer.h"
#include "kernels/emulated/sanitizers.h"
#include "kernels/emulated/worker.h"

namespace rb::emu {

namespace {

Thread& Current() { return *static_cast<Thread*>(current_thread); }

bool SamePlace(const Where& a, const Where& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

// Returns when `expected` threads are here.
void Meet(BarrierState& barrier, unsigned expected, const char* what, const Where& where) {
  Thread& thread = Current();
  thread.what = what;
  thread.where = where;
  if (barrier.waiting == 0) {
    barrier.expected = expected;
    barrier.what = what;
    barrier.where = where;
  }
  char* const sync = barrier.meeting.Now();
  SyncRelease(sync);
  (barrier.waiting == 0 ? barrier.first : barrier.last->next) = &thread;
  barrier.last = &thread;
  thread.next = nullptr;
  if (++barrier.waiting == expected) thread.worker->Release(barrier);
  thread.worker->Wait(thread);
  SyncAcquire(sync);
}

// The operation that the caller takes part in: the one that lanes of the same mask wait in, or a new one.
Warp::Operation& FindOperation(Warp& warp, unsigned mask, const char* what, const Where& where) {
  Warp::Operation* unused = nullptr;
  for (Warp::Operation& operation : warp.operations) {
    if (operation.arrived == 0) {
      if (!unused) unused = &operation;
    } else if (operation.lanes.mask == mask) {
      if (operation.what == what && SamePlace(operation.where, where)) return operation;
      Fail(where, "divergent warp operation: %s here, others of the mask in %s at %s:%u", what, operation.what,
           operation.where.file_name(), operation.where.line());
    } else if ((operation.lanes.mask & mask) != 0) {
      Fail(where, "%s: mask %08x overlaps mask %08x of %s at line %u, which waits", what, mask, operation.lanes.mask,
           operation.what, operation.where.line());
    }
  }
  if (!unused) Fail(where, "%s: more than %d masks at once in a warp", what, Warp::kOperations);
  unused->lanes.mask = mask;
  unused->what = what;
  unused->where = where;
  return *unused;
}

// Whether those who wait, and `last`, are whole warps.
bool AreWholeWarps(const BarrierState& barrier, const Thread& last) {
  unsigned lanes[kMaxBlockThreads / 32] = {};
  const auto count = [&](const Thread& thread) {
    lanes[thread.warp - thread.block->warps.data()] |= 1u << thread.lane;
  };
  for (const Thread* thread = barrier.first; thread; thread = thread->next) count(*thread);
  count(last);
  return std::all_of(std::begin(lanes), std::end(lanes), [](unsigned mask) { return mask == 0 || mask == ~0u; });
}

}  // namespace

void Fail(const Where& where, const char* format, ...) {
  Thread& thread = Current();
  {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    thread.worker->Error(thread, where, text);
  }
  thread.worker->Stop();
}

void Barrier(int id, int threads, const char* what, const Where& where) {
  Thread& thread = Current();
  Block& block = *thread.block;
  if (id < 0 || id >= Block::kBarriers) Fail(where, "%s: barrier %d; there are 1 to 15", what, id);
  BarrierState& barrier = block.barriers[id];
  if (id == 0) {
    if (barrier.waiting > 0 && !SamePlace(barrier.where, where)) {
      Fail(where, "divergent barrier: others wait at %s:%u", barrier.where.file_name(), barrier.where.line());
    }
    if (block.alive != block.threads) Fail(where, "%s behind an early return of some threads of the block", what);
    threads = static_cast<int>(block.threads);
  } else if (threads <= 0 || threads % 32 != 0 || threads > static_cast<int>(block.threads)) {
    Fail(where, "%s: %d threads, not whole warps of a block of %u", what, threads, block.threads);
  } else if (barrier.waiting > 0 && barrier.expected != static_cast<unsigned>(threads)) {
    Fail(where, "%s: barrier %d waits for %u threads here and %d there", what, id, barrier.expected, threads);
  } else if (barrier.waiting + 1 == static_cast<unsigned>(threads) && !AreWholeWarps(barrier, thread)) {
    Fail(where, "%s: barrier %d has %d threads, but of parts of warps", what, id, threads);
  }
  Meet(barrier, static_cast<unsigned>(threads), what, where);
}

void ClusterBarrier(const Where& where) {
  Worker& worker = *Current().worker;
  BarrierState& barrier = worker.cluster_barrier();
  if (barrier.waiting > 0 && !SamePlace(barrier.where, where)) {
    Fail(where, "divergent ClusterSync: others wait at %s:%u", barrier.where.file_name(), barrier.where.line());
  }
  Meet(barrier, worker.cluster_threads(), "ClusterSync", where);
}

void* ClusterAddress(void* shared, unsigned rank, const Where& where) {
  Thread& thread = Current();
  if (rank >= thread.worker->cluster_blocks()) {
    Fail(where, "ClusterMap: rank %u in a cluster of %u", rank, thread.worker->cluster_blocks());
  }
  if (!InShared(shared, 1)) Fail(where, "ClusterMap: the pointer is not into this block's shared memory");
  return thread.worker->block(rank).shared + (static_cast<unsigned char*>(shared) - thread.block->shared);
}

void* SharedVariable(const void* key, size_t bytes, size_t align, const Where& where) {
  Thread& thread = Current();
  const size_t offset = thread.worker->VariableOffset(key, bytes, align < 16 ? 16 : align);
  if (offset == 0) {
    Fail(where, "static shared memory of this and the variables before it: over %zu bytes, or %zu with dynamic memory",
         kMaxStaticSharedBytes, kMaxSharedBytes);
  }
  return thread.block->shared + offset;
}

bool InShared(const void* address, size_t bytes) {
  const Thread& thread = Current();
  const size_t offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(thread.block->shared);
  const SharedLayout& layout = thread.worker->layout();
  for (int i = 0; i < layout.count; ++i) {
    const SharedLayout::Variable& variable = layout.variables[i];
    if (offset >= variable.begin && offset + bytes <= variable.begin + variable.bytes) return true;
  }
  return false;
}

void CountCopy() { ++Current().counters->copies; }

void WarpOperation(unsigned mask, const void* in, void* out, Combine combine, bool fence, const char* what,
                   const Where& where) {
  Thread& thread = Current();
  thread.what = what;
  thread.where = where;
  if ((mask >> thread.lane & 1u) == 0) {
    Fail(where, "%s: lane %u calls but is not in mask %08x", what, thread.lane, mask);
  }
  Warp::Operation& operation = FindOperation(*thread.warp, mask, what, where);
  char* const sync = operation.meeting.Now();
  if (fence) SyncRelease(sync);
  operation.lanes.in[thread.lane] = in;
  operation.lanes.out[thread.lane] = out;
  operation.arrived |= 1u << thread.lane;
  if (operation.arrived == mask) {
    const char* wrong = nullptr;
    if (combine) {
      const UnjudgedAccesses unjudged;
      operation.lanes.counters = thread.counters;
      wrong = combine(operation.lanes);
    }
    if (wrong) Fail(where, "%s: %s", what, wrong);
    if (observer && mask == 0xFFFFFFFFu) observer->WarpMeets(thread);
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1u) thread.worker->Wake(*thread.warp->threads[lane]);
    }
    operation.arrived = 0;
    ++operation.meeting.phase;
    ++thread.counters->warp_operations;
  }
  thread.worker->Wait(thread);
  if (fence) SyncAcquire(sync);
}

}  // namespace rb::emu
