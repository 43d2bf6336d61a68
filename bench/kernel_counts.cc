// What every kernel of a training step, of scoring, of a scan and of folding asks of memory, counted on the emulated
// device (kernels/emulated/counting.h): the article's network, one model, batch 100. Needs no GPU and measures no time.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/train/synthetic.h"
#include "bench/symbol_name.h"
#include "engine/backend.h"
#include "engine/check.h"
#include "kernels/emulated/counting.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "kernels/precision.h"
#include "model/folding.h"

namespace rb::bench {
namespace {

using nlohmann::ordered_json;

struct CountOptions {
  Shape shape;
  int batch = 100;
  int sequences = 2000;       // of the data; a step reads `batch` of them
  int score_rows = 384;       // also twice that: the difference is what further sequences cost
  int scan_rows = 48, k = 1;  // sequences under all k-mers
  int fold_rows = 16;
  std::vector<std::string> precisions{"fp32", "tf32", "bf16"};
  std::string json, places;
};

ordered_json Json(const emu::GlobalCounts& c) {
  return {
      {"requests", c.requests}, {"bytes", c.bytes}, {"sectors", c.sectors}, {"lines", c.lines}, {"touched", c.touched}};
}
ordered_json Json(const emu::SharedCounts& c) {
  return {{"requests", c.requests}, {"wavefronts", c.wavefronts}, {"conflicts", c.wavefronts - c.ideal}};
}
ordered_json Json(const emu::KernelCounts& c, const SymbolNames& names) {
  return {{"kernel", names.Of(c.kernel)},
          {"launches", c.work.launches},
          {"blocks", c.work.blocks},
          {"block_threads", c.block_threads},
          {"dynamic_shared", c.shared_bytes},
          {"read", Json(c.read)},
          {"written", Json(c.written)},
          {"loads", Json(c.loads)},
          {"stores", Json(c.stores)},
          {"matrices", Json(c.matrices)},
          {"mma", c.work.mma},
          {"barriers", c.work.barriers},
          {"warp_operations", c.work.warp_operations},
          {"copies", c.work.copies}};
}

const std::map<std::string, Precision>& Precisions() {
  static const std::map<std::string, Precision> precisions = {
      {"fp32", Precision::kFp32}, {"tf32", Precision::kTf32}, {"bf16", Precision::kBf16}};
  return precisions;
}

class Counter {
 public:
  Counter(const CountOptions& options, const std::string& precision)
      : o_(options),
        precision_name_(precision),
        precision_(Precisions().at(precision)),
        machine_(MakeEmulatedMachine(precision_)) {}

  absl::StatusOr<ordered_json> All() {
    RB_RETURN_IF_ERROR(Training());
    RB_RETURN_IF_ERROR(Scoring());
    RB_RETURN_IF_ERROR(Scan());
    if (precision_ == Precision::kFp32) {
      RB_RETURN_IF_ERROR(Folding());
    }
    return result_;
  }

 private:
  // Puts what was counted since the last part under `name`.
  void Part(const char* name) {
    ordered_json rows = ordered_json::array();
    for (const emu::KernelCounts& c : counting_.counts()) {
      rows.push_back(Json(c, names_));
      WritePlaces(name, c);
    }
    std::fprintf(stderr, "kernel_counts: %s %s, %zu kernels\n", precision_name_.c_str(), name, rows.size());
    result_[name] = std::move(rows);
    counting_.Reset();
  }

  // A line for each place in the code.
  void WritePlaces(const char* part, const emu::KernelCounts& c) {
    if (o_.places.empty()) return;
    constexpr const char* kKinds[] = {"read", "written", "loads", "stores", "matrices"};
    std::ofstream out(o_.places, std::ios::app);
    for (const emu::PlaceCounts& p : c.places) {
      out << std::hex << "0x" << names_.InFile(p.place - 1) << std::dec << "\t" << precision_name_ << "\t" << part
          << "\t" << names_.Of(c.kernel) << "\t" << kKinds[p.kind] << "\t" << p.requests << "\t" << p.taken << "\t"
          << p.ideal << "\n";
    }
  }

  absl::Status Training() {
    apps::SyntheticOptions options;
    options.shape = o_.shape;
    options.batch = o_.batch;
    options.sequences = o_.sequences;
    options.train_rows = o_.sequences / 2;
    RB_ASSIGN_OR_RETURN(training_, apps::SyntheticTraining::Create(options, *machine_));
    counting_.Reset();
    RB_RETURN_IF_ERROR(training_->Step());
    Part("step");
    return absl::OkStatus();
  }

  absl::Status Scoring() {
    // Twice as many in one precision only: they show what further sequences cost, and take long.
    for (int rows = o_.score_rows; rows <= (precision_ == Precision::kBf16 ? 2 : 1) * o_.score_rows;
         rows += o_.score_rows) {
      RB_ASSIGN_OR_RETURN(const std::unique_ptr<Program> score, training_->NewScoring(precision_, rows));
      RB_RETURN_IF_ERROR(score->Run());
      Part(rows == o_.score_rows ? "scoring" : "scoring twice as many");
    }
    return absl::OkStatus();
  }

  absl::Status Scan() {
    const rb::Folding folding = FoldingOf(o_.shape);
    const std::vector<float> folded(static_cast<size_t>(folding.size), 0.01f);
    const ScorerGeometry geometry = GeometryOf(o_.shape);
    RB_ASSIGN_OR_RETURN(
        const std::unique_ptr<Scorer> scorer,
        machine_->NewScorer(geometry, folding.offsets.At(folded.data(), geometry.residual_layers), precision_));
    DrawnSequences even;
    for (int i = 0; i < o_.shape.length * kProfileThresholds; ++i) {
      even.thresholds.push_back(kProfileUnit / 4 * static_cast<uint64_t>(i % kProfileThresholds + 1));
    }
    const size_t kmers = size_t{1} << (2 * o_.k);
    std::vector<EffectMoments> effects(kmers);
    std::vector<int32_t> order(kmers);
    KmerScanArgs args;
    args.n = o_.scan_rows;
    args.drawn = &even;
    args.k = o_.k;
    args.position = o_.shape.length / 2;
    args.effects = effects.data();
    args.order = order.data();
    counting_.Reset();
    RB_RETURN_IF_ERROR(scorer->ScanKmers(args));
    Part("scan");
    return absl::OkStatus();
  }

  absl::Status Folding() {
    const int length = o_.shape.length, words = PackedWords(length);
    RB_ASSIGN_OR_RETURN(const std::unique_ptr<Folder> folder, machine_->NewFolder(length, Turner1999Factors()));
    PhiloxStream random(5);
    const auto rows = static_cast<size_t>(o_.fold_rows);
    std::vector<uint32_t> bases(rows * static_cast<size_t>(words));
    std::vector<uint8_t> codes(static_cast<size_t>(length));
    for (size_t i = 0; i < rows; ++i) {
      for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Below(4));
      PackBases(codes.data(), length, &bases[i * static_cast<size_t>(words)]);
    }
    const std::vector<uint16_t> widths(rows, static_cast<uint16_t>(length));
    std::vector<float> tracks(rows * static_cast<size_t>(length) * kFoldTracks);
    counting_.Reset();
    RB_RETURN_IF_ERROR(folder->Fold(bases.data(), widths.data(), o_.fold_rows, tracks.data(), nullptr));
    Part("fold");
    return absl::OkStatus();
  }

  const CountOptions& o_;
  const std::string precision_name_;
  const Precision precision_;
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<apps::SyntheticTraining> training_;
  emu::Counting counting_;
  SymbolNames names_;
  ordered_json result_;
};

absl::Status Run(const CountOptions& o, const std::string& commit) {
  RB_RETURN_IF_ERROR(ValidateShape(o.shape));
  std::ofstream out(o.json);
  if (!out) return absl::UnavailableError("cannot write " + o.json);  // before minutes of work
  ordered_json result{{"kind", "kernel-counts"}, {"commit", commit}};
  result["settings"] = {{"models", 1},
                        {"batch", o.batch},
                        {"length", o.shape.length},
                        {"filters", o.shape.filters},
                        {"hidden", o.shape.hidden},
                        {"score_rows", o.score_rows},
                        {"scan_rows", o.scan_rows},
                        {"k", o.k},
                        {"fold_rows", o.fold_rows}};
  for (const std::string& name : o.precisions) {
    RB_ASSIGN_OR_RETURN(result["counts"][name], Counter(o, name).All());
  }
  out << result.dump(1) << "\n";
  out.close();
  return out ? absl::OkStatus() : absl::UnavailableError("cannot write " + o.json);
}

}  // namespace
}  // namespace rb::bench

int main(int argc, char** argv) {
  rb::bench::CountOptions o;
  std::string commit;
  CLI::App app("Counts what the CUDA kernels ask of memory, on the emulated device. bench/run_counts.sh runs it.");
  app.add_option("--json", o.json, "file for the result")->required();
  app.add_option("--places", o.places, "file to add a line to for each place in the code; see bench/counted_places.py");
  app.add_option("--commit", commit, "to write into it");
  app.add_option("--precision", o.precisions)->delimiter(',')->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  app.add_option("--batch", o.batch)->check(CLI::Range(1, 1000));
  app.add_option("--length", o.shape.length);
  app.add_option("--filters", o.shape.filters);
  app.add_option("--hidden", o.shape.hidden);
  app.add_option("--pool", o.shape.pool);
  app.add_option("--score-rows", o.score_rows)->check(CLI::Range(1, 1000));
  app.add_option("--scan-rows", o.scan_rows)->check(CLI::Range(1, 10000));
  app.add_option("--fold-rows", o.fold_rows)->check(CLI::Range(1, 10000));
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = rb::bench::Run(o, commit);
  if (status.ok()) return 0;
  std::cerr << "kernel_counts: " << status.message() << "\n";
  return 1;
}
