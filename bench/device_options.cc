#include "bench/device_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <regex>

#include "absl/strings/str_cat.h"
#include "engine/check.h"

namespace rb::bench {
namespace {

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void AddRowFlags(CLI::App& app, DeviceOptions& o) {
  app.add_option("--models", o.models, "models side by side")->delimiter(',')->check(CLI::Range(1, 65535));
  app.add_option("--precision", o.precisions, "fp32, tf32, bf16")
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  app.add_option("--variant", o.variants,
                 "fused: as the network calls it; plain: without prologue, norm and sums; dx, dw: half of a backward "
                 "pass; stream: the scorer reads its weights through L2")
      ->delimiter(',')
      ->check(CLI::IsMember({"fused", "plain", "dx", "dw", "stream"}));
  app.add_option("--peers", o.peers, "rows to compare with: copy, cublas, none")
      ->delimiter(',')
      ->check(CLI::IsMember({"copy", "cublas", "none"}));
  app.add_option("--operator", o.operators, "regular expression that row names must match somewhere");
  app.add_option("--group", o.group, "models that one launch covers; 0: all")->check(CLI::Range(0, 65535));
  app.add_option("--rotate", o.rotate, "input sets to take in turn; 0: as many as exceed L2 together, 1: warm caches")
      ->check(CLI::Range(0, 64));
  app.add_option("--sequences", o.sequences, "random sequences to draw from")
      ->check(CLI::Range(int64_t{100}, int64_t{1} << 28));
  app.add_option("--score-rows", o.score_rows, "sequences that each model scores; 0: 2^18 over all models")
      ->check(CLI::Range(0, 1 << 24));
  app.add_option("--device", o.device, "number of the CUDA device")->check(CLI::Range(0, 63));
  app.add_option("--json", o.json, "file for one JSON object a line, written as rows finish");
  app.add_flag("--list", o.list, "print the names of the rows and end; needs no device");
  app.add_flag("--emulated", o.emulated, "run every row once on the emulated device, untimed; for tests");
}

void AddShapeFlags(CLI::App& app, DeviceOptions& o, std::vector<int>& dilations) {
  app.add_option("--length", o.shape.length);
  app.add_option("--structure", o.shape.structure)->check(CLI::IsMember({0, 2, 5}));
  app.add_option("--filters", o.shape.filters);
  app.add_option("--first-width", o.shape.first_width);
  app.add_option("--width", o.shape.width);
  app.add_option("--dilation", dilations, "of each convolution")->delimiter(',')->check(CLI::Range(1, 512));
  app.add_option("--pool", o.shape.pool);
  app.add_option("--hidden", o.shape.hidden);
  app.add_option("--batch", o.batch)->check(CLI::Range(1, 65536));
}

}  // namespace

bool DeviceOptions::Variant(const std::string& name) const { return Has(variants, name); }
bool DeviceOptions::Peer(const std::string& name) const { return Has(peers, name); }

const char* PrecisionName(Precision precision) {
  return precision == Precision::kBf16 ? "bf16" : precision == Precision::kTf32 ? "tf32" : "fp32";
}
Precision PrecisionOf(const std::string& name) {
  return name == "bf16" ? Precision::kBf16 : name == "tf32" ? Precision::kTf32 : Precision::kFp32;
}

absl::Status ParseDeviceOptions(int argc, char** argv, DeviceOptions& options, std::vector<std::string>& rest) {
  CLI::App app("times device operators; flags it does not know go to Google Benchmark");
  app.option_defaults()->always_capture_default();
  app.allow_extras();
  std::vector<int> dilations;
  AddRowFlags(app, options);
  AddShapeFlags(app, options, dilations);
  try {
    app.parse(argc, argv);
    std::regex check(options.operators);
  } catch (const CLI::CallForHelp&) {
    std::printf("%s", app.help().c_str());
    return absl::AbortedError("help");
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  } catch (const std::regex_error&) {
    return absl::InvalidArgumentError(absl::StrCat("--operator ", options.operators, " is no regular expression"));
  }
  if (dilations.size() > static_cast<size_t>(kMaxResidualLayers)) {
    return absl::InvalidArgumentError(absl::StrCat("--dilation: at most ", kMaxResidualLayers, " layers"));
  }
  if (!dilations.empty()) {
    options.shape.residual_layers = static_cast<int>(dilations.size());
    std::copy(dilations.begin(), dilations.end(), options.shape.dilations);
  }
  if (options.sequences < options.batch) return absl::InvalidArgumentError("--sequences must be at least --batch");
  rest = {argv[0]};
  for (const std::string& extra : app.remaining()) rest.push_back(extra);
  return ValidateShape(options.shape);
}

}  // namespace rb::bench
