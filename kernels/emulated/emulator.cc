#include "kernels/emulated/emulator.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "kernels/emulated/observer.h"
#include "kernels/emulated/worker.h"

namespace rb::emu {

namespace {

constexpr int kFailed = 1;  // DeviceError's code of all launches that failed; the text tells more

std::string& ErrorText() {
  thread_local std::string text;
  return text;
}
DeviceError Failure(std::string text) {
  ErrorText() = std::move(text);
  return {kFailed};
}

// What launches share: counts, and workers that wait for the next launch with their stacks.
struct Shared {
  std::mutex mutex;
  Counters counters;
  std::vector<std::unique_ptr<Worker>> idle;
  std::map<uintptr_t, size_t> global;  // bytes by address
};
Shared& shared() {
  static Shared shared;
  return shared;
}

std::unique_ptr<Worker> TakeWorker() {
  const std::lock_guard<std::mutex> lock(shared().mutex);
  if (shared().idle.empty()) return std::make_unique<Worker>();
  std::unique_ptr<Worker> worker = std::move(shared().idle.back());
  shared().idle.pop_back();
  return worker;
}

std::string Text(dim3 v) { return std::to_string(v.x) + " x " + std::to_string(v.y) + " x " + std::to_string(v.z); }

// Empty, or why a device of compute capability 9.0 would refuse this launch.
std::string WhatIsWrong(const LaunchConfig& config) {
  const dim3 grid = config.grid, block = config.block;
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kMaxBlockThreads || block.z > 64) {
    return "a block of " + Text(block) + " threads; expected 1 to " + std::to_string(kMaxBlockThreads);
  }
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFFu || grid.y > 0xFFFFu || grid.z > 0xFFFFu ||
      uint64_t{grid.x} * grid.y * grid.z > 0xFFFFFFFFu) {
    return "a grid of " + Text(grid) + " blocks; expected at least 1 and at most 65535 along y and z";
  }
  if (config.shared > kMaxSharedBytes) {
    return std::to_string(config.shared) + " bytes of dynamic shared memory; expected at most " +
           std::to_string(kMaxSharedBytes);
  }
  if (config.cluster == 0 || config.cluster > kMaxClusterBlocks || grid.x % config.cluster != 0) {
    return "clusters of " + std::to_string(config.cluster) + " blocks in a grid of " + Text(grid) + "; expected 1 to " +
           std::to_string(kMaxClusterBlocks) + ", and a divisor of the grid's first size";
  }
  return "";
}

class Run {
 public:
  Run(const LaunchConfig& config, const void* kernel, const std::function<void()>& body)
      : config_(config),
        kernel_(kernel),
        body_(body),
        options_(options()),
        clusters_(config.grid.x * config.grid.y * config.grid.z / config.cluster) {
    if (options_.seed == 0) return;
    order_.resize(clusters_);
    for (unsigned i = 0; i < clusters_; ++i) order_[i] = i;
    uint64_t random = options_.seed;
    for (unsigned i = clusters_; i > 1; --i) {
      random = random * 6364136223846793005ull + 1442695040888963407ull;
      std::swap(order_[i - 1], order_[(random >> 32) * i >> 32]);
    }
  }

  // Returns what went wrong.
  std::string Everything() {
    const unsigned most = observer ? 1u : static_cast<unsigned>(std::max(options_.workers, 1));
    const unsigned workers = std::min(clusters_, most);
    if (observer) observer->LaunchBegins(kernel_, config_);
    std::vector<std::jthread> helpers;  // joined even if a later one cannot start
    for (unsigned i = 1; i < workers; ++i) helpers.emplace_back([this, i] { Part(i); });
    Part(0);
    helpers.clear();
    ++counters_.launches;
    if (observer) observer->LaunchEnds(counters_);
    const std::lock_guard<std::mutex> lock(shared().mutex);
    shared().counters += counters_;
    return error_;
  }

 private:
  void Part(unsigned number) {
    try {
      std::unique_ptr<Worker> worker = TakeWorker();
      RunClusters(*worker, number);
      const std::lock_guard<std::mutex> lock(shared().mutex);
      counters_ += worker->counters();
      shared().idle.push_back(std::move(worker));
    } catch (const std::exception& exception) {  // no memory
      Stop(exception.what());
    }
  }

  void RunClusters(Worker& worker, unsigned number) {
    worker.Begin(config_, body_, options_, number);
    while (!failed_) {
      const uint64_t next = next_++;
      if (next >= clusters_) break;
      const std::string& error = worker.RunCluster((order_.empty() ? next : order_[next]) * config_.cluster);
      if (!error.empty()) Stop(error);
    }
    worker.End();
  }

  void Stop(const std::string& error) {
    const std::lock_guard<std::mutex> lock(shared().mutex);
    if (!failed_.exchange(true)) error_ = error;
  }

  const LaunchConfig& config_;
  const void* const kernel_;
  const std::function<void()>& body_;
  const Options options_;
  const unsigned clusters_;
  std::vector<unsigned> order_;  // empty: in order
  std::atomic<uint64_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::string error_;
  Counters counters_;
};

}  // namespace

Observer* observer = nullptr;

void AddGlobal(const void* memory, size_t bytes) {
  const std::lock_guard<std::mutex> lock(shared().mutex);
  shared().global[reinterpret_cast<uintptr_t>(memory)] = bytes;
}

void RemoveGlobal(const void* memory) {
  const std::lock_guard<std::mutex> lock(shared().mutex);
  shared().global.erase(reinterpret_cast<uintptr_t>(memory));
}

std::vector<GlobalRange> GlobalRanges() {
  const std::lock_guard<std::mutex> lock(shared().mutex);
  std::vector<GlobalRange> ranges;
  for (const auto& [begin, bytes] : shared().global) ranges.push_back({begin, begin + bytes});
  return ranges;
}

Options& options() {
  static Options options;
  return options;
}

Counters& Counters::operator+=(const Counters& more) {
  launches += more.launches;
  blocks += more.blocks;
  threads += more.threads;
  barriers += more.barriers;
  warp_operations += more.warp_operations;
  mma += more.mma;
  copies += more.copies;
  switches += more.switches;
  return *this;
}

Counters counters() {
  const std::lock_guard<std::mutex> lock(shared().mutex);
  return shared().counters;
}

void ResetCounters() {
  const std::lock_guard<std::mutex> lock(shared().mutex);
  shared().counters = {};
}

const char* DeviceErrorText(DeviceError error) {
  if (error.code == 0) return "no error";
  if (error.code < 0) return "this operator does not exist for these arguments";
  return ErrorText().c_str();
}

DeviceError LaunchKernel(const LaunchConfig& config, const void* kernel, std::function<void()> body) {
  std::string wrong = WhatIsWrong(config);
  if (!wrong.empty()) return Failure(std::move(wrong));
  std::function<DeviceError()> launch = [config, kernel, body = std::move(body)]() -> DeviceError {
    try {
      std::string error = Run(config, kernel, body).Everything();
      return error.empty() ? DeviceError{} : Failure(std::move(error));
    } catch (const std::exception& exception) {  // the host has no memory or no threads
      return Failure(exception.what());
    }
  };
  return config.stream ? static_cast<Stream*>(config.stream)->Enqueue(std::move(launch)) : launch();
}

void Stream::BeginCapture() {
  recorded_ = {};
  capturing_ = true;
}

Graph Stream::EndCapture() {
  capturing_ = false;
  return std::exchange(recorded_, {});
}

DeviceError Stream::Replay(const Graph& graph) {
  for (const std::function<DeviceError()>& work : graph.work_) {
    const DeviceError error = work();
    if (error) return error;
  }
  return {};
}

DeviceError Stream::Enqueue(std::function<DeviceError()> work) {
  if (!capturing_) return work();
  recorded_.work_.push_back(std::move(work));
  return {};
}

}  // namespace rb::emu
