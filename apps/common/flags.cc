#include "apps/common/flags.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "engine/backend.h"
#include "engine/check.h"
#include "engine/check_machine.h"

namespace rb::apps {
namespace {

std::string CheckDevice(const std::string& text) {
  int index = 0;
  if (text == "auto" || text == "cpu" || text == "cuda" || text == "emulated" || text == "check") return "";
  if (text.rfind("cuda:", 0) == 0 && absl::SimpleAtoi(text.substr(5), &index) && index >= 0) return "";
  return absl::StrCat("'", text, "' is no device; expected auto, cpu, cuda, cuda:N, emulated or check");
}

int CudaIndex(const std::string& device) {
  int index = 0;
  if (device.size() > 5) (void)absl::SimpleAtoi(device.substr(5), &index);  // checked when the flag was read
  return index;
}

// tf32 and bf16 where a CPU does the work.
absl::Status CheckCpuPrecision(const std::string& precision, bool training) {
  if (precision == "tf32") {
    return absl::UnavailableError(
        "--precision tf32: tf32 is a format of GPU tensor cores and the CPU has no such instruction; expected fp32, or "
        "bf16 for scoring");
  }
  if (precision != "bf16") return absl::OkStatus();
  if (training) {
    return absl::UnavailableError(
        "--precision bf16: training runs in fp32 on the CPU; expected fp32 (predict, evaluate and scan take bf16)");
  }
  if (cpu::HasBf16()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("--precision bf16: this processor has no bf16 instructions (vector target ", cpu::VectorTarget(),
                   "); expected fp32"));
}

absl::Status OpenBackend(const CommonFlags& flags, bool training, OpenedMachine& machine) {
  const std::string& device = flags.device;
  const DenseProducts dense = flags.dense == "cublas" ? DenseProducts::kCublas : DenseProducts::kOwn;
  if (dense == DenseProducts::kCublas && device.rfind("cuda", 0) != 0) {
    return UsageError(
        absl::StrCat("--dense cublas is for CUDA devices; expected --device cuda or cuda:N with it, not ", device));
  }
  const bool automatic = device == "auto";
  if (device.rfind("cuda", 0) == 0 || automatic) {
    const absl::Status available = CudaAvailable(CudaIndex(device));
    if (available.ok()) {
      RB_ASSIGN_OR_RETURN(machine.backend, MakeCudaMachine(CudaIndex(device), machine.precision, dense));
      return absl::OkStatus();
    }
    if (!automatic) {
      return absl::UnavailableError(
          absl::StrCat("--device ", device, ": ", available.message(), "; expected --device cpu or auto"));
    }
    machine.note = absl::StrCat("device auto takes the CPU: ", available.message());
  }
  if (device == "emulated") {
    machine.backend = MakeEmulatedMachine(machine.precision);
    return absl::OkStatus();
  }
  if (device == "check") {
    std::unique_ptr<Machine> checked;
    if (CudaAvailable(0).ok()) {
      RB_ASSIGN_OR_RETURN(checked, MakeCudaMachine(0, machine.precision));
    } else {
      checked = MakeEmulatedMachine(machine.precision);
    }
    machine.backend = MakeCheckMachine(*machine.pool, std::move(checked), machine.precision);
    return absl::OkStatus();
  }
  RB_RETURN_IF_ERROR(CheckCpuPrecision(flags.precision, training));
  machine.backend = MakeCpuBackend<float>(*machine.pool);
  return absl::OkStatus();
}

std::string CheckSeed(const std::string& text) {
  uint64_t seed = 0;
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos && absl::SimpleAtoi(text, &seed))
    return "";
  return absl::StrCat("'", text, "' is no seed; expected a whole number from 0 to 18446744073709551615");
}

std::string CheckBatch(const std::string& text) {
  int rows = 0;
  if (text == "auto" || (absl::SimpleAtoi(text, &rows) && rows >= 1 && rows <= 65536)) return "";
  return absl::StrCat("'", text, "' is no batch size; expected auto or a number from 1 to 65536");
}

void AddMachineFlags(CLI::App& app, CommonFlags& flags, unsigned which) {
  const char* group = "Machine";
  app.add_option("--threads", flags.threads, "threads of the CPU; 0 takes every usable processor")
      ->check(CLI::Range(0, 1024))
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  if (!(which & (kMachineFlags | kDeviceFlags))) return;
  app.add_option("--device", flags.device,
                 "auto, cpu, cuda or cuda:N; for developers: emulated (CUDA kernels on the host), check (CPU and "
                 "device compared)")
      ->check(CLI::Validator(CheckDevice, "", ""))
      ->type_name("DEVICE")
      ->capture_default_str()
      ->group(group);
  if (!(which & kMachineFlags)) return;
  app.add_option("--precision", flags.precision,
                 "fp32, tf32 (GPUs) or bf16 (GPUs; on the CPU for scoring, where it has the instructions)")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}))
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  app.add_option("--batch", flags.batch, "sequences of a mini-batch (training) or a block (scoring); auto or a number")
      ->check(CLI::Validator(CheckBatch, "", ""))
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
}

}  // namespace

void AddCommonFlags(CLI::App& app, CommonFlags& flags, unsigned which) {
  if (which & kPresetFlag) {
    app.add_option("--preset", flags.preset, "paper (the article's text) or published (its authors' code)")
        ->check(CLI::IsMember({"paper", "published"}))
        ->type_name("NAME")
        ->capture_default_str();
  }
  if (which & kSeedFlag) {
    app.add_option("--seed", flags.seed, "same seed, same result, to the last bit")
        ->check(CLI::Validator(CheckSeed, "", ""))
        ->type_name("N")
        ->capture_default_str();
  }
  if (which & (kMachineFlags | kDeviceFlags | kThreadsFlag)) AddMachineFlags(app, flags, which);
  if (which & kDenseFlag) {
    app.add_option("--dense", flags.dense, "own or cublas: whose kernels multiply in the dense layer of a CUDA device")
        ->check(CLI::IsMember({"own", "cublas"}))
        ->type_name("NAME")
        ->capture_default_str()
        ->group("Machine");
  }
  if (which & kEnergyFlag) {
    app.add_option("--energy", flags.energy,
                   "energies that RNA is folded with: turner1999, or a FILE (default: a model's own, else turner1999)")
        ->type_name("NAME");
  }
  if (which & kAlphabetFlag) {
    app.add_option("--alphabet", flags.alphabet, "rna or dna: the letter shown for U/T (both are always read)")
        ->check(CLI::IsMember({"rna", "dna"}))
        ->type_name("NAME")
        ->capture_default_str();
  }
  if (which & kResumeFlag) {
    app.add_flag("--resume", flags.resume, "go on from the checkpoints in the output folder, bit for bit");
  }
  if (which & kOverwriteFlag) app.add_flag("--overwrite", flags.overwrite, "replace outputs that exist");
  if (which & kProgressFlag) {
    app.add_option("--progress", flags.progress, "auto, plain (lines), json (one object a line) or none")
        ->check(CLI::IsMember({"auto", "plain", "json", "none"}))
        ->type_name("MODE")
        ->capture_default_str();
  }
}

absl::StatusOr<int> ParseBatch(const CommonFlags& flags) {
  int rows = 0;
  if (flags.batch == "auto") return 0;
  if (!absl::SimpleAtoi(flags.batch, &rows)) return UsageError(absl::StrCat("--batch: ", CheckBatch(flags.batch)));
  return rows;
}

Precision PrecisionOf(const CommonFlags& flags) {
  return flags.precision == "bf16" ? Precision::kBf16 : flags.precision == "tf32" ? Precision::kTf32 : Precision::kFp32;
}

absl::StatusOr<OpenedMachine> OpenMachine(const CommonFlags& flags, bool training) {
  OpenedMachine machine;
  machine.precision_name = flags.precision;
  machine.precision = PrecisionOf(flags);
  machine.pool = std::make_unique<ThreadPool>(flags.threads);
  RB_RETURN_IF_ERROR(OpenBackend(flags, training, machine));
  machine.description = machine.backend->Describe();
  return machine;
}

absl::StatusOr<std::optional<EnergySet>> ChosenEnergies(const CommonFlags& flags) {
  std::optional<EnergySet> chosen;
  if (flags.energy.empty()) return chosen;
  RB_ASSIGN_OR_RETURN(chosen.emplace(), ReadEnergySet(flags.energy));
  return chosen;
}

absl::StatusOr<Predictor> OpenPredictor(const ModelFile& model, const CommonFlags& flags, OpenedMachine& machine) {
  RB_ASSIGN_OR_RETURN(const std::optional<EnergySet> chosen, ChosenEnergies(flags));
  return Predictor::Create(model, machine.precision, *machine.backend, chosen.has_value() ? &*chosen : nullptr);
}

namespace {

// "NVIDIA H100, 132 multiprocessors" of "cuda:1: NVIDIA H100, 132 multiprocessors".
std::string KindOf(const OpenedMachine& machine) {
  return machine.description.substr(std::min(machine.description.find(": "), machine.description.size()));
}

absl::StatusOr<std::vector<OpenedMachine>> OpenCudaDevices(CommonFlags flags, int workers, bool training) {
  const int devices = CudaDevices();
  if (workers > devices) {
    return UsageError(
        absl::StrCat("--workers ", workers, ": there are ", devices, " CUDA devices; expected at most ", devices));
  }
  std::vector<OpenedMachine> machines;
  for (int i = 0; i < (workers > 0 ? workers : devices); ++i) {
    flags.device = absl::StrCat("cuda:", i);
    if (workers == 0 && i > 0 && !CudaAvailable(i).ok()) continue;
    RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags, training));
    if (i > 0 && KindOf(machine) != KindOf(machines[0])) {
      if (workers == 0) continue;
      return absl::FailedPreconditionError(absl::StrCat("--workers ", workers, ": ", machine.description,
                                                        " is not like ", machines[0].description,
                                                        "; expected devices of one kind"));
    }
    machines.push_back(std::move(machine));
  }
  RB_RETURN_IF_ERROR(machines[0].backend->BindThread());
  return machines;
}

}  // namespace

absl::StatusOr<std::vector<OpenedMachine>> OpenMachines(const CommonFlags& flags, int workers, bool training) {
  const bool cuda = flags.device == "cuda" || (flags.device == "auto" && CudaAvailable(0).ok());
  if (cuda && workers != 1 && CudaDevices() > 0) return OpenCudaDevices(flags, workers, training);
  const int count = std::max(1, workers);
  std::vector<OpenedMachine> machines;
  if (count == 1) {
    RB_ASSIGN_OR_RETURN(machines.emplace_back(), OpenMachine(flags, training));
    return machines;
  }
  if (flags.device != "auto" && flags.device != "cpu" && flags.device != "emulated") {
    return UsageError(absl::StrCat("--workers ", workers, ": --device ", flags.device,
                                   " is one machine; expected cuda, cpu or --workers 1"));
  }
  const int threads = flags.threads > 0 ? flags.threads : UsableProcessors();
  if (count > threads) {
    return UsageError(absl::StrCat("--workers ", workers, ": there are ", threads,
                                   " threads to share out; expected at most as many workers, or more --threads"));
  }
  CommonFlags part = flags;
  for (int i = 0; i < count; ++i) {
    part.threads = threads / count + (i < threads % count ? 1 : 0);
    RB_ASSIGN_OR_RETURN(machines.emplace_back(), OpenMachine(part, training));
  }
  return machines;
}

}  // namespace rb::apps
