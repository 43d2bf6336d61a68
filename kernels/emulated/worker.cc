#include "kernels/emulated/worker.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/emulated/observer.h"
#include "kernels/emulated/sanitizers.h"

namespace rb::emu {

constinit thread_local ThreadContext* current_thread = nullptr;

namespace {

constexpr unsigned char kPoison = 0xFF;  // NaN as float, tf32 and bf16; -1 as an integer
// Shared memory of a block with a margin behind dynamic memory and behind each variable.
constexpr size_t kMargin = 128;
constexpr size_t kSharedRoom = 320 << 10;

// TSan orders by these: what the launching thread did before its kernels' threads, and those before what it does next.
char launch_begins, launch_ends;

std::string Text(uint3 v) {
  return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")";
}
std::string Text(const Where& where) { return std::string(where.file_name()) + ":" + std::to_string(where.line()); }

}  // namespace

Block::Block() {
  void* const memory =
      mmap(nullptr, kSharedRoom, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  shared = static_cast<unsigned char*>(memory);
  std::memset(shared, kPoison, kSharedRoom);
}

Block::~Block() {
  if (!shared) return;
  Permit(shared, kSharedRoom);
  munmap(shared, kSharedRoom);
}

void Worker::RunThread(void*) {
  Thread* const thread = static_cast<Thread*>(current_thread);
  SyncAcquire(&launch_begins);
  bool has_memory = true;
  try {
    (*thread->worker->body_)();
  } catch (...) {  // kernels throw nothing, but the emulation's lists may
    has_memory = false;
  }
  if (!has_memory) Fail(Where::current(), "the host has no memory for the emulation's own lists");
  SyncRelease(&launch_ends);
  thread->state = Thread::State::kDone;
}

void Worker::Begin(const LaunchConfig& config, const std::function<void()>& body, const Options& options,
                   unsigned number) {
  config_ = config;
  body_ = &body;
  options_ = options;
  random_ = (uint64_t{options.seed} << 32 | number) * 0x9E3779B97F4A7C15ull | 1;
  counters_ = {};
  error_.clear();
  layout_ = {};
  AddVariable(nullptr, config.shared, 128);
}

void Worker::End() {
  SyncAcquire(&launch_ends);
  if (kThreadSanitizer) Forget();
}

uint32_t Worker::Random(uint32_t below) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<uint32_t>((random_ >> 32) * below >> 32);
}

const std::string& Worker::RunCluster(unsigned first_block) {
  if (!SetUp(first_block)) {
    error_ = "the host has no memory for the stacks or the shared memory of a block";
    return error_;
  }
  Schedule();
  current_thread = nullptr;
  if (observer) observer->BlocksEnd();
  if (error_.empty() && left_ > 0) ReportDeadlock();
  if (error_.empty() && config_.cluster == 1) FinishBlock(*blocks_[0]);
  if (!error_.empty()) {  // the launch ends; threads are left in the middle: nothing of theirs is used again
    fibers_.Abandon(&launch_ends);
    SyncAcquire(&launch_ends);
    Forget();
  }
  counters_.blocks += config_.cluster;
  return error_;
}

void Worker::Forget() {
  const UnjudgedAccesses unjudged;
  blocks_.clear();
  threads_.clear();
  cluster_barrier_.reset();
}

bool Worker::SetUp(unsigned first_block) {
  const unsigned block_threads = config_.block.x * config_.block.y * config_.block.z;
  const unsigned threads = block_threads * config_.cluster;
  if (kThreadSanitizer) Forget();
  if (!fibers_.Provide(threads)) return false;
  while (threads_.size() < threads) threads_.push_back(std::make_unique<Thread>());
  while (blocks_.size() < config_.cluster) blocks_.push_back(std::make_unique<Block>());
  if (!cluster_barrier_) cluster_barrier_ = std::make_unique<BarrierState>();
  *cluster_barrier_ = {};
  ready_.reserve(threads);
  running_.reserve(threads);
  ready_.clear();
  left_ = threads;
  for (unsigned rank = 0; rank < config_.cluster; ++rank) {
    if (!blocks_[rank]->shared) return false;
    SetUpBlock(*blocks_[rank], first_block + rank, rank);
  }
  SyncRelease(&launch_begins);
  counters_.threads += threads;
  return true;
}

void Worker::SetUpBlock(Block& block, unsigned index, unsigned rank) {
  const dim3 grid = config_.grid, size = config_.block;
  block.block_index = {index % grid.x, index / grid.x % grid.y, index / grid.x / grid.y};
  block.block_size = size;
  block.grid_size = grid;
  block.cluster_rank = rank;
  block.threads = block.alive = size.x * size.y * size.z;

  block.dynamic_shared = block.shared + layout_.variables[0].begin;
  Forbid(block.shared, kSharedRoom);
  for (int i = 0; i < layout_.count; ++i) {
    Permit(block.shared + layout_.variables[i].begin, layout_.variables[i].bytes);
  }

  for (BarrierState& barrier : block.barriers) barrier = {};
  block.warps.resize((block.threads + 31) / 32);
  for (Warp& warp : block.warps) {
    for (Warp::Operation& operation : warp.operations) operation.arrived = 0;
    std::fill(std::begin(warp.threads), std::end(warp.threads), nullptr);
  }
  for (unsigned i = 0; i < block.threads; ++i) {
    const size_t number = size_t{rank} * block.threads + i;
    Thread& thread = *threads_[number];
    thread.thread_index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    thread.lane = i % 32;
    thread.ThreadContext::block = &block;
    thread.counters = &counters_;
    thread.copies.clear();
    thread.copy_groups = 0;
    thread.defer_copies = options_.defer_copies;
    thread.waited = false;
    thread.worker = this;
    thread.block = &block;
    thread.warp = &block.warps[i / 32];
    thread.warp->threads[i % 32] = &thread;
    thread.fiber = number;
    Wake(thread);
  }
}

// Rounds: all threads that were ready when the round began run until they wait or return.
void Worker::Schedule() {
  while (!ready_.empty()) {
    running_.swap(ready_);
    ready_.clear();
    if (options_.seed != 0) {
      for (size_t i = running_.size(); i > 1; --i) {
        std::swap(running_[i - 1], running_[Random(static_cast<uint32_t>(i))]);
      }
    }
    for (Thread* thread : running_) {
      current_thread = thread;
      thread->state = Thread::State::kRunning;
      ++counters_.switches;
      fibers_.Resume(thread->fiber);
      if (failed()) return;
      if (thread->state == Thread::State::kDone) Leave(*thread);
      if (failed()) return;
    }
  }
}

void Worker::Leave(Thread& thread) {
  Block& block = *thread.block;
  --left_;
  --block.alive;
  const BarrierState* missed = nullptr;
  if (block.barriers[0].waiting > 0) missed = &block.barriers[0];
  if (cluster_barrier_->waiting > 0) missed = cluster_barrier_.get();
  if (missed) {
    error_ = "block " + Text(block.block_index) + " thread " + Text(thread.thread_index) +
             " left the kernel while others wait in " + missed->what + " at " + Text(missed->where);
  } else if (!thread.waited) {
    error_ = "block " + Text(block.block_index) + " thread " + Text(thread.thread_index) +
             " left the kernel without DependencyWait: on a device it may have overtaken the launch before";
  } else if (block.alive == 0 && config_.cluster > 1) {
    FinishBlock(block);
  }
}

// Checks the margins and poisons all again. The others of a cluster may not touch the memory of a block that is gone.
void Worker::FinishBlock(Block& block) {
  const UnjudgedAccesses unjudged;
  Permit(block.shared, kSharedRoom);
  for (int i = 0; i < layout_.count; ++i) {
    const SharedLayout::Variable& variable = layout_.variables[i];
    const size_t next = i + 1 < layout_.count ? layout_.variables[i + 1].begin : layout_.end;
    const unsigned char* const end = block.shared + variable.begin + variable.bytes;
    const unsigned char* const margin_end = block.shared + next;
    const unsigned char* const damage =
        std::find_if(end, margin_end, [](unsigned char byte) { return byte != kPoison; });
    if (damage != margin_end && error_.empty()) {
      error_ = "block " + Text(block.block_index) + " wrote past the end of its " +
               (variable.key ? "shared variable" : "dynamic shared memory") + " of " + std::to_string(variable.bytes) +
               " bytes, at byte " + std::to_string(variable.bytes + (damage - end));
    }
  }
  std::memset(block.shared, kPoison, layout_.end);
  Forbid(block.shared, kSharedRoom);
}

size_t Worker::VariableOffset(const void* key, size_t bytes, size_t align) {
  for (int i = 0; i < layout_.count; ++i) {
    if (layout_.variables[i].key == key) return layout_.variables[i].begin;
  }
  return AddVariable(key, bytes, align);
}

// No better aligned than promised, so that a kernel which needs more fails.
size_t Worker::AddVariable(const void* key, size_t bytes, size_t align) {
  size_t begin = (layout_.end + align - 1) / align * align;
  if (begin / align % 2 == 0) begin += align;
  if (key) {
    layout_.static_bytes += bytes;
    if (layout_.static_bytes > kMaxStaticSharedBytes || layout_.static_bytes + config_.shared > kMaxSharedBytes ||
        begin + bytes + 2 * kMargin > kSharedRoom || layout_.count == SharedLayout::kVariables) {
      return 0;
    }
  }
  layout_.variables[layout_.count++] = {key, begin, bytes};
  layout_.end = (begin + bytes + kMargin + 15) / 16 * 16;
  for (unsigned rank = 0; key && rank < config_.cluster; ++rank) Permit(blocks_[rank]->shared + begin, bytes);
  return begin;
}

void Worker::ReportDeadlock() {
  struct Place {
    const char* what;
    Where where;
    const Thread* first;
    unsigned threads;
  };
  std::vector<Place> places;
  for (const auto& thread : threads_) {
    if (thread->state != Thread::State::kWaiting) continue;
    const auto same = std::find_if(places.begin(), places.end(), [&](const Place& place) {
      return place.what == thread->what && place.where.line() == thread->where.line() &&
             std::strcmp(place.where.file_name(), thread->where.file_name()) == 0;
    });
    if (same != places.end()) {
      ++same->threads;
    } else {
      places.push_back({thread->what, thread->where, thread.get(), 1});
    }
  }
  error_ = "deadlock: " + std::to_string(left_) + " of " + std::to_string(cluster_threads()) +
           " threads wait for ones that do not come";
  for (size_t i = 0; i < std::min<size_t>(places.size(), 4); ++i) {
    const Place& place = places[i];
    error_ += "; " + std::to_string(place.threads) + " in " + place.what + " at " + Text(place.where) +
              " (first: block " + Text(place.first->block->block_index) + " thread " + Text(place.first->thread_index) +
              ")";
  }
}

void Worker::Wait(Thread& thread) {
  thread.state = Thread::State::kWaiting;
  fibers_.Suspend();
}

void Worker::Wake(Thread& thread) { ready_.push_back(&thread); }

void Worker::Release(BarrierState& barrier) {
  ++counters_.barriers;
  ++barrier.meeting.phase;
  for (Thread* thread = barrier.first; thread; thread = thread->next) {
    if (observer && thread->lane == 0) observer->WarpMeets(*thread);  // whole warps meet in barriers
    Wake(*thread);
  }
  barrier.first = barrier.last = nullptr;
  barrier.waiting = 0;
}

void Worker::Error(const Thread& thread, const Where& where, const char* text) {
  if (!error_.empty()) return;
  const UnjudgedAccesses unjudged;
  error_ = std::string(text) + " [block " + Text(thread.block->block_index) + " thread " + Text(thread.thread_index) +
           " at " + Text(where) + "]";
  SyncRelease(&launch_ends);
}

}  // namespace rb::emu
