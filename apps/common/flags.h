// Flags that several commands share, and the machine they choose.
#ifndef RB_APPS_COMMON_FLAGS_H_
#define RB_APPS_COMMON_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/fold_energies_reader.h"
#include "data/transform.h"
#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "kernels/scorer.h"
#include "model/predictor.h"

namespace rb::apps {

struct CommonFlags {
  std::string preset = "paper";
  std::string device = "auto";
  std::string precision = "fp32";
  std::string dense = "own";
  std::string batch = "auto";
  std::string alphabet = "rna";
  std::string progress = "auto";
  std::string energy;
  int threads = 0;
  uint64_t seed = 0;
  bool resume = false;
  bool overwrite = false;

  bool dna() const { return alphabet == "dna"; }
};

// Which of them a command takes.
enum FlagSet : unsigned {
  kPresetFlag = 1,
  kMachineFlags = 2,  // --device --threads --precision --batch
  kSeedFlag = 4,
  kAlphabetFlag = 8,
  kResumeFlag = 16,
  kProgressFlag = 32,
  kOverwriteFlag = 64,
  kThreadsFlag = 128,  // --threads alone
  kDenseFlag = 256,
  kEnergyFlag = 512,
  kDeviceFlags = 1024,  // --device --threads
};
void AddCommonFlags(CLI::App& app, CommonFlags& flags, unsigned which);

// --batch: 0 for auto.
absl::StatusOr<int> ParseBatch(const CommonFlags& flags);

// --precision.
Precision PrecisionOf(const CommonFlags& flags);

// What --device, --threads and --precision lead to.
struct OpenedMachine {
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Machine> backend;
  Precision precision = Precision::kFp32;
  std::string precision_name;
  std::string description;  // "cpu: 2 threads, AVX3"
  std::string note;         // how --device auto was settled
};
// The energies of --energy; none where it is not given.
absl::StatusOr<std::optional<EnergySet>> ChosenEnergies(const CommonFlags& flags);
// The model in use: on this machine, with --precision and --energy.
absl::StatusOr<Predictor> OpenPredictor(const ModelFile& model, const CommonFlags& flags, OpenedMachine& machine);

// `training`: the precision is used for training too, where CPUs have fp32 only.
absl::StatusOr<OpenedMachine> OpenMachine(const CommonFlags& flags, bool training);

// Several of one kind: CUDA devices (cuda, or auto where there are some) counted from 0, or parts of the CPU, whose
// threads are shared out. workers 0: every CUDA device that is like the first, or one machine. The calling thread has
// the first of them. Usage errors when there are fewer devices or threads.
absl::StatusOr<std::vector<OpenedMachine>> OpenMachines(const CommonFlags& flags, int workers, bool training);

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_FLAGS_H_
