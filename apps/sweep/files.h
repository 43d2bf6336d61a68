// What a sweep's processes leave in its folder: a result beside every model, a record for every shard, and locks.
//
// DIR/models/FOLDER/result.json says what became of a model and holds the checksums of its files; it holds no times and
// no places, so that it is the same however the work was shared out. DIR/shards/I-of-N.json is for people and `sweep
// status`. DIR/lock is never read: byte i of it is locked by the process that trains model i of the manifest, and the
// lock ends with the process, however that ends.
#ifndef RB_APPS_SWEEP_FILES_H_
#define RB_APPS_SWEEP_FILES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/shard.h"
#include "apps/sweep/plan.h"
#include "model/predictor.h"

namespace rb::apps {

// What became of a model.
struct SweepResult {
  std::string id;
  std::string failure;  // why there is no model; empty when there is one
  std::string version;  // of the program
  std::string model_sha256, history_sha256;
  int epochs = 0, best_epoch = 0;
  double best_metric = 0;  // on the validation part
  bool tested = false;     // false when the data have no test probes
  Evaluation test;
};

std::string ModelFolder(const SweepPlan& plan, const SweepModel& model);  // DIR/models/FOLDER
std::string ResultPath(const SweepPlan& plan, const SweepModel& model);
std::string SweepModelPath(const SweepPlan& plan, const SweepModel& model);

// Fills in the checksums of the model's files as they are and writes result.json.
absl::Status WriteFinished(const SweepPlan& plan, const SweepModel& model, SweepResult result);
absl::Status WriteFailed(const SweepPlan& plan, const SweepModel& model, const std::string& failure);

enum class SweepState {
  kWaiting,   // nothing is there, or files of another model than the manifest's
  kBegun,     // a checkpoint is there
  kFinished,  // with intact files
  kFailed,
  kDamaged,  // was finished, but its files are not those any more
};
const char* StateName(SweepState state);

struct SweepReport {
  SweepState state = SweepState::kWaiting;
  std::string reason;  // of kFailed and kDamaged
  SweepResult result;  // of kFinished and kFailed
};
// Reads a model's files and compares their checksums.
SweepReport Inspect(const SweepPlan& plan, const SweepModel& model);

// Who works on a shard, and how far it is. Written at the start, every few seconds, and at the end.
struct ShardRecord {
  Shard shard;
  std::string state;  // running, stopped, finished, failed
  std::string host, version, device, started, updated;
  int64_t pid = 0;
  double seconds = 0;
  int64_t models = 0, finished = 0, failed = 0;
  int64_t trained = 0;  // by this process: models that ended in it
  double sequences_per_second = 0;
};
absl::Status WriteShardRecord(const SweepPlan& plan, const ShardRecord& record);
// Those that can be read, by number of shards and index.
std::vector<ShardRecord> ReadShardRecords(const SweepPlan& plan);

class SweepLock {
 public:
  // Opens DIR/lock. When the file system has no locks, `available` is false and everything succeeds.
  static absl::StatusOr<SweepLock> Open(const SweepPlan& plan);
  SweepLock(SweepLock&& other) noexcept;
  ~SweepLock();
  SweepLock& operator=(SweepLock&& other) noexcept;

  bool available() const { return available_; }
  // False when another process has model `index` (or, by TakeAll, any model).
  bool Take(int64_t index);
  bool TakeAll();
  // Whether another process has it.
  bool IsTaken(int64_t index) const;

 private:
  explicit SweepLock(int fd) : fd_(fd) {}
  bool Lock(int64_t begin, int64_t count);

  int fd_;
  bool available_ = true;
};

}  // namespace rb::apps

#endif  // RB_APPS_SWEEP_FILES_H_
