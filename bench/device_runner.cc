// A row's launches are recorded into one program of at least 0.3 ms, which takes the input sets in turn. A measurement
// runs that program once untimed, so that the device is busy when the timed runs are queued, then three times between
// two events. Three measurements make a repetition, five repetitions a row; the row's time is their median.
#include "bench/device_runner.h"

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "bench/device_ceilings.h"
#include "bench/device_memory.h"
#include "engine/check.h"

namespace rb::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kProgramSeconds = 3e-4;
constexpr int kTimedRuns = 3, kMeasurements = 3, kRepetitions = 5;
constexpr double kLongSeconds = 1e-2;  // a launch that takes longer is timed alone
constexpr double kSetMemory = 8e9;     // bytes that input sets may take together

class Lines {
 public:
  ~Lines() {
    if (file_ != nullptr) std::fclose(file_);
  }
  bool Open(const std::string& path) { return path.empty() || (file_ = std::fopen(path.c_str(), "w")) != nullptr; }
  void Write(const Json& json) {
    if (file_ == nullptr) return;
    const std::string text = json.dump() + "\n";
    std::fwrite(text.data(), 1, text.size(), file_);
    std::fflush(file_);
  }

 private:
  std::FILE* file_ = nullptr;
};

class Runner {
 public:
  Runner(const DeviceOptions& options, const DeviceFacts& facts, const Ceilings& ceilings)
      : bench_(options), facts_(facts), ceilings_(ceilings) {}

  // Seconds of one launch.
  absl::StatusOr<double> Measure(const DeviceRow& row) {
    if (prepared_ != row.name) RB_RETURN_IF_ERROR(Prepare(row));
    return Stretch(row, *program_, timed_runs_ * launches_);
  }
  void Counters(const DeviceRow& row, double seconds, benchmark::State& state) const {
    auto& counters = state.counters;
    counters["time_us"] = seconds * 1e6;
    if (row.bytes > 0) {
      counters["GB/s"] = row.bytes / seconds * 1e-9;
      counters["percent_of_copy"] = 100 * row.bytes / seconds / ceilings_.copy;
    }
    if (row.flops > 0) {
      counters["GFLOP/s"] = row.flops / seconds * 1e-9;
      counters["percent_of_products"] = 100 * row.flops / seconds / ceilings_.Products(row.precision);
    }
    if (row.sequences > 0) counters["sequences/s"] = row.sequences / seconds;
    counters["sets"] = sets_;
    counters["launches"] = launches_;
  }

  std::string Note(const DeviceRow& row) { return row.note ? row.note(bench_) : ""; }

 private:
  int Sets(const DeviceRow& row) const {
    if (bench_.options().rotate > 0) return bench_.options().rotate;
    if (!row.rotates) return 1;
    const double wanted = std::ceil(2 * facts_.l2_bytes / row.bytes);
    const Shape& s = bench_.options().shape;
    // A set: four activation tensors in at most 4 bytes, and about 6 MB of weights, gradients and moments a model.
    const double set = row.models * (6e6 + 18.0 * bench_.options().batch * s.length * s.filters);
    return static_cast<int>(std::clamp(wanted, 1.0, std::clamp(kSetMemory / set, 1.0, 64.0)));
  }

  absl::Status Prepare(const DeviceRow& row) {
    prepared_.clear();
    program_.reset();
    RB_RETURN_IF_ERROR(bench_.Open(row.precision, row.models));
    sets_ = Sets(row);
    if (row.before) RB_RETURN_IF_ERROR(row.before(bench_));
    for (int set = 0; set < sets_; ++set) RB_RETURN_IF_ERROR(row.queue(bench_, set));  // allocates; loads kernels
    RB_RETURN_IF_ERROR(Record(row, sets_));
    RB_RETURN_IF_ERROR(Stretch(row, *program_, sets_).status());
    RB_ASSIGN_OR_RETURN(const double once, Stretch(row, *program_, kTimedRuns * sets_));
    const double wanted = std::min(std::ceil(kProgramSeconds / std::max(once, 1e-7)), 1.0 * row.most_launches);
    RB_RETURN_IF_ERROR(Record(row, std::max(1, static_cast<int>(std::ceil(wanted / sets_))) * sets_));
    timed_runs_ = once > kLongSeconds ? 1 : kTimedRuns;
    prepared_ = row.name;
    return absl::OkStatus();
  }

  absl::Status Record(const DeviceRow& row, int launches) {
    launches_ = launches;
    RB_ASSIGN_OR_RETURN(program_, bench_.machine().NewProgram([this, &row, launches]() -> absl::Status {
      for (int i = 0; i < launches; ++i) RB_RETURN_IF_ERROR(row.queue(bench_, i % sets_));
      return absl::OkStatus();
    }));
    return absl::OkStatus();
  }

  // The program once, then between two events as often as `launches` launches take.
  absl::StatusOr<double> Stretch(const DeviceRow& row, Program& program, int launches) {
    if (row.before) RB_RETURN_IF_ERROR(row.before(bench_));
    const auto stream = static_cast<cudaStream_t>(bench_.machine().stream());
    for (cudaEvent_t& event : events_) {
      if (event == nullptr) RB_RETURN_IF_ERROR(CudaStatus(cudaEventCreate(&event), "creating an event"));
    }
    RB_RETURN_IF_ERROR(program.Run());
    RB_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(events_[0], stream), "recording an event"));
    for (int done = 0; done < launches; done += launches_) RB_RETURN_IF_ERROR(program.Run());
    RB_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(events_[1], stream), "recording an event"));
    RB_RETURN_IF_ERROR(CudaStatus(cudaEventSynchronize(events_[1]), "waiting for the device"));
    float ms = 0;
    RB_RETURN_IF_ERROR(CudaStatus(cudaEventElapsedTime(&ms, events_[0], events_[1]), "reading events"));
    return ms * 1e-3 / launches;
  }

  Workbench bench_;
  DeviceFacts facts_;
  Ceilings ceilings_;
  std::string prepared_;  // name of the row that program_ is of
  std::unique_ptr<Program> program_;
  int sets_ = 1, launches_ = 1, timed_runs_ = kTimedRuns;
  cudaEvent_t events_[2] = {};
};

void RunRow(benchmark::State& state, Runner& runner, const DeviceRow& row) {
  std::vector<double> seconds;
  for (auto _ : state) {
    const absl::StatusOr<double> measured = runner.Measure(row);
    if (!measured.ok()) {
      state.SkipWithError(std::string(measured.status().message()).c_str());
      return;
    }
    state.SetIterationTime(*measured);
    seconds.push_back(*measured);
  }
  std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
  runner.Counters(row, seconds[seconds.size() / 2], state);
  state.SetLabel(runner.Note(row));
}

// The console's table, and a line of JSON for every row.
class Reporter : public benchmark::ConsoleReporter {
 public:
  Reporter(const std::vector<DeviceRow>& rows, Lines& lines)
      : ConsoleReporter(OO_Tabular), rows_(rows), lines_(lines) {}
  bool ReportContext(const Context& context) override {
    ConsoleReporter::ReportContext(context);
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    double spread = 0;
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name == "cv") spread = run.counters.at("time_us");
    }
    for (const Run& run : runs) {
      if (run.error_occurred) {
        lines_.Write({{"kind", "row"}, {"name", run.run_name.function_name}, {"error", run.error_message}});
        return;
      }
      if (run.run_type != Run::RT_Aggregate || run.aggregate_name != "median") continue;
      Json line = {{"kind", "row"}, {"name", run.run_name.function_name}};
      for (const auto& [name, counter] : run.counters) line[name] = counter.value;
      line["relative_sd"] = spread;
      if (!run.report_label.empty()) line["note"] = run.report_label;
      for (const DeviceRow& row : rows_) {
        if (row.name == run.run_name.function_name) line["flop"] = row.flops, line["bytes"] = row.bytes;
      }
      lines_.Write(line);
    }
  }

 private:
  const std::vector<DeviceRow>& rows_;
  Lines& lines_;
};

Json ContextLine(const DeviceFacts& facts, const Ceilings& ceilings, const DeviceOptions& options) {
  const Shape& s = options.shape;
  return {{"kind", "context"},
          {"device", facts.name},
          {"compute_capability", absl::StrCat(facts.major, ".", facts.minor)},
          {"multiprocessors", facts.multiprocessors},
          {"driver", facts.driver},
          {"runtime", facts.runtime},
          {"most_clock_mhz", facts.clock_mhz},
          {"most_memory_clock_mhz", facts.memory_clock_mhz},
          {"l2_bytes", facts.l2_bytes},
          {"memory_bytes", facts.memory_bytes},
          {"free_bytes", facts.free_bytes},
          {"ceilings",
           {{"copy_GB/s", ceilings.copy * 1e-9},
            {"bf16_TFLOP/s", ceilings.bf16 * 1e-12},
            {"tf32_TFLOP/s", ceilings.tf32 * 1e-12},
            {"fp32_TFLOP/s", ceilings.fp32 * 1e-12}}},
          {"shape",
           {{"length", s.length},
            {"structure", s.structure},
            {"filters", s.filters},
            {"first_width", s.first_width},
            {"width", s.width},
            {"dilations", std::vector<int>(s.dilations, s.dilations + s.residual_layers)},
            {"pool", s.pool},
            {"hidden", s.hidden},
            {"batch", options.batch},
            {"group", options.group}}}};
}

// Every row once on the emulated device: which of them fail?
int RunEmulated(const DeviceOptions& options, const std::vector<DeviceRow>& rows) {
  Workbench bench(options);
  int failed = 0;
  for (const DeviceRow& row : rows) {
    absl::Status status = bench.Open(row.precision, row.models);
    if (status.ok() && row.before) status = row.before(bench);
    if (status.ok()) status = row.queue(bench, 0);
    if (!status.ok()) ++failed;
    std::printf("%s: %s\n", row.name.c_str(),
                status.ok() ? "ran (emulated, not timed)" : std::string(status.message()).c_str());
  }
  std::printf("rows run: %zu, failed: %d\n", rows.size(), failed);
  return failed == 0 && !rows.empty() ? 0 : 1;
}

int RunOnDevice(const DeviceOptions& options, const std::vector<DeviceRow>& rows, std::vector<std::string> rest) {
  const absl::Status available = CudaAvailable(options.device);
  absl::StatusOr<DeviceFacts> facts = available.ok() ? ReadDeviceFacts(options.device) : available;
  absl::StatusOr<Ceilings> ceilings = facts.ok() ? MeasureCeilings(options.device) : facts.status();
  if (!ceilings.ok()) {
    std::fprintf(stderr, "%s: %s\n", rest[0].c_str(), std::string(ceilings.status().message()).c_str());
    return 1;
  }
  Lines lines;
  if (!lines.Open(options.json)) {
    std::fprintf(stderr, "%s: --json %s cannot be written\n", rest[0].c_str(), options.json.c_str());
    return 1;
  }
  const Json context = ContextLine(*facts, *ceilings, options);
  lines.Write(context);
  for (const auto& [name, value] : context["ceilings"].items()) {
    benchmark::AddCustomContext(absl::StrCat("ceiling ", name), absl::StrCat(value.get<double>()));
  }
  benchmark::AddCustomContext("device", facts->name);
  Runner runner(options, *facts, *ceilings);
  for (const DeviceRow& row : rows) {
    benchmark::RegisterBenchmark(row.name.c_str(),
                                 [&runner, &row](benchmark::State& state) { RunRow(state, runner, row); })
        ->UseManualTime()
        ->Iterations(kMeasurements)
        ->Repetitions(kRepetitions)
        ->ReportAggregatesOnly()
        ->Unit(benchmark::kMicrosecond);
  }
  std::vector<char*> arguments;
  for (std::string& argument : rest) arguments.push_back(argument.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  Reporter reporter(rows, lines);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  lines.Write({{"kind", "end"}, {"rows", rows.size()}});
  return 0;
}

}  // namespace

int RunDeviceBench(int argc, char** argv, std::vector<DeviceRow> (*make_rows)(const DeviceOptions&)) {
  DeviceOptions options;
  std::vector<std::string> rest;
  const absl::Status parsed = ParseDeviceOptions(argc, argv, options, rest);
  if (absl::IsAborted(parsed)) return 0;
  if (!parsed.ok()) {
    std::fprintf(stderr, "%s: %s\n", argv[0], std::string(parsed.message()).c_str());
    return 2;
  }
  const std::vector<DeviceRow> rows = make_rows(options);
  if (options.list) {
    for (const DeviceRow& row : rows) std::printf("%s\n", row.name.c_str());
    return 0;
  }
  return options.emulated ? RunEmulated(options, rows) : RunOnDevice(options, rows, std::move(rest));
}

}  // namespace rb::bench
