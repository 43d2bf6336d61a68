// residualbind doctor: can this machine do the work, and what would it use?
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/memory.h"
#include "apps/common/text.h"
#include "data/writers.h"
#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "kernels/scorer.h"

namespace rb::apps {
namespace {

namespace fs = std::filesystem;

double TotalMemory() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
}

std::string CudaText() {
  const absl::Status available = CudaAvailable(0);
  if (!available.ok()) return absl::StrCat(available.message(), "; work runs on the CPU");
  const auto machine = MakeCudaMachine(0, Precision::kFp32);
  return machine.ok() ? (*machine)->Describe() : std::string(machine.status().message());
}

// "" when a file can be written here.
std::string WriteProblem() {
  const std::string probe = absl::StrCat(".residualbind-doctor-", getpid());
  const absl::Status status = WriteFile(probe, "ok\n");
  std::error_code error;
  fs::remove(probe, error);
  return status.ok() ? "" : std::string(status.message());
}

absl::Status Run() {
  std::error_code error;
  const std::string here = fs::current_path(error).string();
  const fs::space_info space = fs::space(here, error);
  const double memory = AvailableMemory();
  const std::string problem = WriteProblem();
  const std::string disk = problem.empty()
                               ? absl::StrCat(Bytes(static_cast<double>(space.available)), " free in ", here)
                               : absl::StrCat("NOT WRITABLE: ", here);
  std::printf(
      "residualbind  %s\ncompiler      %s %s\nvectors       %s\nbf16          %s\nprocessors    %d usable\n"
      "memory        %s available of %s\ndisk          %s\ncuda          %s\n",
      RB_VERSION,
#if defined(__clang__)
      "clang",
#else
      "gcc",
#endif
      __VERSION__, cpu::VectorTarget(), cpu::HasBf16() ? "scoring can use it" : "this processor has none",
      UsableProcessors(), Bytes(memory).c_str(), Bytes(TotalMemory()).c_str(), disk.c_str(), CudaText().c_str());
  std::printf(
      "limits        probes of 16 to 512 nt; a model of the full RNAcompete set (241,357 probes) trains in about 100 "
      "MiB\n");
  if (!problem.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(here, ": cannot be written; expected a working folder for outputs"));
  }
  constexpr double kLeast = 256.0 * 1024 * 1024;
  if (memory > 0 && memory < kLeast) {
    return absl::ResourceExhaustedError(
        absl::StrCat("memory: ", Bytes(memory), " available; expected at least ", Bytes(kLeast)));
  }
  std::printf("usable: yes\n");
  return absl::OkStatus();
}

}  // namespace

Action DefineDoctor(CLI::App&, const Invocation&) { return Run; }

}  // namespace rb::apps
