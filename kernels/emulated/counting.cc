#include "kernels/emulated/counting.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <map>
#include <utility>

#include "kernels/emulated/fiber.h"
#include "kernels/emulated/warp_request.h"
#include "kernels/emulated/worker.h"

namespace rb::emu {
namespace {

enum Space : uintptr_t { kGlobal, kShared };

// One place in the program in one warp: requests since the warp last met.
struct Site {
  uintptr_t key = 0;
  uint32_t calls[32] = {};  // of each lane
  std::vector<WarpRequest> requests;
  uint64_t total = 0, taken = 0, ideal = 0;  // of all requests of the launch

  bool is_write() const { return key & 1u; }
  Space space() const { return static_cast<Space>(key >> 1 & 1u); }
};

// The sites of one warp, by key.
class SiteTable {
 public:
  SiteTable() : slots_(kFirstSlots, nullptr) {}

  Site& Find(uintptr_t key) {
    size_t i = Start(key);
    for (; slots_[i]; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i]->key == key) return *slots_[i];
    }
    sites_.emplace_back().key = key;
    slots_[i] = &sites_.back();
    if (2 * sites_.size() > slots_.size()) Grow();
    return sites_.back();
  }
  std::vector<Site*> active;  // that have requests
  const std::deque<Site>& sites() const { return sites_; }

 private:
  static constexpr size_t kFirstSlots = 256;
  size_t Start(uintptr_t key) const { return (key * 0x9E3779B97F4A7C15ull >> 32) & (slots_.size() - 1); }
  void Grow() {
    slots_.assign(2 * slots_.size(), nullptr);
    for (Site& site : sites_) {
      size_t i = Start(site.key);
      while (slots_[i]) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = &site;
    }
  }

  std::vector<Site*> slots_;  // a power of two
  std::deque<Site> sites_;
};

// Which words of a range a launch touched.
struct RangeTouched {
  GlobalRange range;
  std::vector<uint64_t> words[2];  // read, written: a bit each

  void Mark(bool is_write, uintptr_t begin, uintptr_t end) {
    for (uintptr_t word = (begin - range.begin) / 4; word < (end - range.begin + 3) / 4; ++word) {
      words[is_write][word / 64] |= uint64_t{1} << word % 64;
    }
  }
};

const Thread* Current() { return static_cast<const Thread*>(current_thread); }

}  // namespace

class Counting::Impl : public Observer {
 public:
  void LaunchBegins(const void* kernel, const LaunchConfig& config) override {
    const auto known = std::find_if(all_.begin(), all_.end(), [&](const auto& c) { return c.kernel == kernel; });
    now_ = known == all_.end() ? &all_.emplace_back() : &*known;
    now_->kernel = kernel;
    now_->block_threads = config.block.x * config.block.y * config.block.z;
    now_->shared_bytes = static_cast<unsigned>(config.shared);
    warps_of_block_ = (now_->block_threads + 31) / 32;
    warps_.clear();
    warps_.resize(size_t{warps_of_block_} * config.cluster);
    touched_.clear();
    place_numbers_.clear();
    for (size_t i = 0; i < now_->places.size(); ++i) {
      place_numbers_[{now_->places[i].kind, now_->places[i].place}] = i;
    }
    for (const GlobalRange& range : GlobalRanges()) {
      const size_t words = ((range.end - range.begin) / 4 + 64) / 64;
      touched_.push_back({range, {std::vector<uint64_t>(words), std::vector<uint64_t>(words)}});
    }
    last_range_ = nullptr;
  }

  void LaunchEnds(const Counters& work) override {
    for (const RangeTouched& range : touched_) {
      for (const bool is_write : {false, true}) {
        for (const uint64_t bits : range.words[is_write]) Global(is_write).touched += 4 * std::popcount(bits);
      }
    }
    AddPlaces();
    now_->work += work;
    now_ = nullptr;
  }

  void WarpMeets(const Thread& thread) override { Analyse(WarpOf(thread)); }
  void BlocksEnd() override {
    for (SiteTable& warp : warps_) Analyse(warp);
  }

  void MatrixRows(const void* const* rows, int matrices, uintptr_t place) override {
    PlaceCounts& of_place = Place(PlaceCounts::kMatrices, place);
    ++of_place.requests;
    for (int m = 0; m < matrices; ++m) {
      WarpRequest request;
      request.lanes = 0xFFu, request.bytes = 16;
      for (int i = 0; i < 8; ++i) request.address[i] = Offset(rows[8 * m + i]);
      const Wavefronts wavefronts = WavefrontsOf(request);
      Add(now_->matrices, wavefronts, m == 0);
      of_place.taken += static_cast<uint64_t>(wavefronts.taken);
      of_place.ideal += static_cast<uint64_t>(wavefronts.ideal);
    }
  }

  void Copies(const void* to, const void* from, uintptr_t place) override {
    Access(to, 16, true, place);
    if (from) Access(from, 16, false, place);
  }

  void Access(const void* address, uint32_t bytes, bool is_write, uintptr_t place) override {
    const Thread& thread = *Current();
    const auto at = reinterpret_cast<uintptr_t>(address);
    Space space = kGlobal;
    uintptr_t counted = at;
    const uintptr_t offset = Offset(address);
    if (offset != kNotShared) {
      space = kShared;
      counted = offset;
    } else {
      RangeTouched* const range = Find(at);
      if (!range) return;
      range->Mark(is_write, at, at + bytes);
    }
    SiteTable& warp = WarpOf(thread);
    Site& site = warp.Find(place << 2 | space << 1 | uintptr_t{is_write});
    if (site.requests.empty()) warp.active.push_back(&site);
    const uint32_t call = site.calls[thread.lane]++;
    if (call >= site.requests.size()) site.requests.resize(call + 1);
    WarpRequest& request = site.requests[call];
    request.lanes |= 1u << thread.lane;
    request.bytes = std::max(request.bytes, bytes);
    request.address[thread.lane] = counted;
  }

  std::deque<KernelCounts> all_;

 private:
  static constexpr uintptr_t kNotShared = ~uintptr_t{0};

  static void Add(SharedCounts& sum, const Wavefronts& wavefronts, bool is_request) {
    sum.requests += is_request;
    sum.wavefronts += static_cast<uint64_t>(wavefronts.taken);
    sum.ideal += static_cast<uint64_t>(wavefronts.ideal);
  }
  PlaceCounts& Place(PlaceCounts::Kind kind, uintptr_t place) {
    const auto found = place_numbers_.try_emplace({kind, place}, now_->places.size());
    if (found.second) now_->places.push_back({kind, place});
    return now_->places[found.first->second];
  }
  // What the warps' sites add up to.
  void AddPlaces() {
    for (const SiteTable& warp : warps_) {
      for (const Site& site : warp.sites()) {
        const int kind = (site.space() == kShared ? PlaceCounts::kLoads : PlaceCounts::kRead) + site.is_write();
        PlaceCounts& place = Place(static_cast<PlaceCounts::Kind>(kind), site.key >> 2);
        place.requests += site.total;
        place.taken += site.taken;
        place.ideal += site.ideal;
      }
    }
  }
  GlobalCounts& Global(bool is_write) { return is_write ? now_->written : now_->read; }

  SiteTable& WarpOf(const Thread& thread) {
    return warps_[thread.ThreadContext::block->cluster_rank * warps_of_block_ +
                  static_cast<size_t>(thread.warp - thread.block->warps.data())];
  }

  // Within the shared memory of the block, or of another block of the cluster, that the address belongs to.
  static uintptr_t Offset(const void* address) {
    const Thread& thread = *Current();
    const auto at = reinterpret_cast<uintptr_t>(address);
    uintptr_t offset = at - reinterpret_cast<uintptr_t>(thread.block->shared);
    if (offset < thread.worker->layout().end) return offset;
    for (unsigned rank = 0; thread.worker->cluster_blocks() > 1 && rank < thread.worker->cluster_blocks(); ++rank) {
      offset = at - reinterpret_cast<uintptr_t>(thread.worker->block(rank).shared);
      if (offset < thread.worker->layout().end) return offset;
    }
    return kNotShared;
  }

  RangeTouched* Find(uintptr_t address) {
    if (last_range_ && address >= last_range_->range.begin && address < last_range_->range.end) return last_range_;
    auto next = std::upper_bound(touched_.begin(), touched_.end(), address,
                                 [](uintptr_t a, const RangeTouched& t) { return a < t.range.begin; });
    if (next == touched_.begin() || address >= (--next)->range.end) return nullptr;
    return last_range_ = &*next;
  }

  void Analyse(SiteTable& warp) {
    for (Site* const site : warp.active) {
      for (const WarpRequest& request : site->requests) {
        if (site->space() == kShared) {
          const Wavefronts wavefronts = WavefrontsOf(request);
          Add(site->is_write() ? now_->stores : now_->loads, wavefronts, true);
          site->taken += static_cast<uint64_t>(wavefronts.taken);
          site->ideal += static_cast<uint64_t>(wavefronts.ideal);
          continue;
        }
        GlobalCounts& global = Global(site->is_write());
        ++global.requests;
        const uint64_t bytes = uint64_t{request.bytes} * static_cast<unsigned>(std::popcount(request.lanes));
        const auto sectors = static_cast<uint64_t>(UnitsTouched(request, 32));
        global.bytes += bytes;
        global.sectors += sectors;
        site->taken += sectors;
        site->ideal += std::min(sectors, (bytes + 31) / 32);
        global.lines += static_cast<uint64_t>(UnitsTouched(request, 128));
      }
      site->total += site->requests.size();
      site->requests.clear();
      std::memset(site->calls, 0, sizeof site->calls);
    }
    warp.active.clear();
  }

  KernelCounts* now_ = nullptr;
  unsigned warps_of_block_ = 0;
  std::vector<SiteTable> warps_;  // of all blocks of a cluster
  std::vector<RangeTouched> touched_;
  RangeTouched* last_range_ = nullptr;
  std::map<std::pair<PlaceCounts::Kind, uintptr_t>, size_t> place_numbers_;  // in now_->places
};

Counting::Counting() : impl_(std::make_unique<Impl>()) { observer = impl_.get(); }
Counting::~Counting() { observer = nullptr; }
std::vector<KernelCounts> Counting::counts() const { return {impl_->all_.begin(), impl_->all_.end()}; }
void Counting::Reset() { impl_->all_.clear(); }

void CountAccess(const void* address, uint32_t bytes, bool is_write, uintptr_t place) {
  if (!current_thread || !observer) return;
  // Most calls are for the stack of the caller.
  const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (reinterpret_cast<uintptr_t>(address) - frame < 8192) return;
  // Wider accesses are several instructions.
  const char* at = static_cast<const char*>(address);
  for (uint32_t part = 0; bytes > 16; ++part, bytes -= 16, at += 16) {
    observer->Access(at, 16, is_write, place + part);
  }
  observer->Access(at, bytes, is_write, place);
}

}  // namespace rb::emu
