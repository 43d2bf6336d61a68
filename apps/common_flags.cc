#include "apps/common_flags.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apps/command.h"

namespace rb::apps {
namespace {

std::string CheckDevice(const std::string& text) {
  int index = 0;
  if (text == "auto" || text == "cpu" || text == "cuda") return "";
  if (text.rfind("cuda:", 0) == 0 && absl::SimpleAtoi(text.substr(5), &index) && index >= 0) return "";
  return absl::StrCat("'", text, "' is no device; expected auto, cpu, cuda or cuda:N");
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

void AddMachineFlags(CLI::App& app, CommonFlags& flags, bool all) {
  const char* group = "Machine";
  app.add_option("--threads", flags.threads, "threads of the CPU; 0 takes every usable processor")
      ->check(CLI::Range(0, 1024))
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  if (!all) return;
  app.add_option("--device", flags.device, "auto, cpu, cuda or cuda:N")
      ->check(CLI::Validator(CheckDevice, "", ""))
      ->type_name("DEVICE")
      ->capture_default_str()
      ->group(group);
  app.add_option("--precision", flags.precision, "fp32, tf32 (GPUs only) or bf16 (scoring, where the processor has it)")
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
  if (which & (kMachineFlags | kThreadsFlag)) AddMachineFlags(app, flags, (which & kMachineFlags) != 0);
  if (which & kAlphabetFlag) {
    app.add_option("--alphabet", flags.alphabet, "rna or dna: the letter shown for U/T (both are always read)")
        ->check(CLI::IsMember({"rna", "dna"}))
        ->type_name("NAME")
        ->capture_default_str();
  }
  if (which & kResumeFlag) {
    app.add_flag("--resume", flags.resume, "go on from the checkpoint in the output folder, bit for bit");
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

absl::StatusOr<Machine> OpenMachine(const CommonFlags& flags, bool training) {
  if (flags.device.rfind("cuda", 0) == 0) {
    return absl::UnavailableError(
        absl::StrCat("--device ", flags.device, ": this build has no CUDA backend; expected --device cpu or auto"));
  }
  Machine machine;
  if (flags.precision == "tf32") {
    return absl::UnavailableError(
        "--precision tf32: tf32 is a format of GPU tensor cores and the CPU has no such instruction; expected fp32, or "
        "bf16 for scoring");
  }
  if (flags.precision == "bf16") {
    if (training) {
      return absl::UnavailableError(
          "--precision bf16: training runs in fp32 on the CPU; expected fp32 (predict, evaluate and scan take bf16)");
    }
    if (!cpu::HasBf16()) {
      return absl::UnavailableError(
          absl::StrCat("--precision bf16: this processor has no bf16 instructions (vector target ", cpu::VectorTarget(),
                       "); expected fp32"));
    }
    machine.precision = Precision::kBf16;
  }
  machine.precision_name = flags.precision;
  machine.pool = std::make_unique<ThreadPool>(flags.threads);
  machine.backend = MakeCpuBackend<float>(*machine.pool);
  machine.description = machine.backend->Describe();
  machine.note = flags.device == "auto" ? "device auto takes the CPU: this build has no CUDA backend" : "";
  return machine;
}

}  // namespace rb::apps
