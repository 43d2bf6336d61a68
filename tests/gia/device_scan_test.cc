// Scans of k-mers on a device against the CPU's: sequences drawn there or handed over, moments, order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/check_machine.h"
#include "engine/thread_pool.h"
#include "gia/null_model.h"
#include "model/parameter_table.h"
#include "model/predictor.h"
#include "tests/support/comparisons.h"
#include "tests/support/device_machine.h"

namespace rb {
namespace {

using test::DeviceMachine;
using test::ExpectEqual;
using test::ExpectSameBits;
using test::ExpectWithin;

ModelFile SmallModel() {
  ModelFile model;
  Shape& s = model.config.shape;
  s.length = 20;
  s.filters = 32;
  s.hidden = 32;
  s.first_width = 5;
  const ParameterTable table(s);
  model.parameters.resize(static_cast<size_t>(table.storage()));
  InitializeParameters(table, 1, 2, model.parameters.data());
  for (int p = 0; p < s.length; ++p) {
    for (const float f : {0.4f, 0.3f, 0.2f, 0.1f}) model.profile.push_back(f);
  }
  return model;
}

NullSet Nulls(const ModelFile& model, int64_t n) {
  NullOptions options;
  options.n = n;
  options.seed = 5;
  NullSources sources;
  sources.length = model.config.shape.length;
  sources.profile = model.profile;
  return DrawNulls(options, sources).value();
}

std::vector<double> Values(const KmerScan& scan) {
  std::vector<double> values;
  for (const EffectMoments& m : scan.effects) values.push_back(m.mean), values.push_back(m.squares);
  values.insert(values.end(), scan.order.begin(), scan.order.end());
  return values;
}

TEST(DeviceScan, IsTheCpusToRounding) {
  const ModelFile model = SmallModel();
  const NullSet nulls = Nulls(model, 101);  // two groups of 48 and a part of one
  ASSERT_TRUE(nulls.drawn.has_value());
  ThreadPool pool(2);
  const auto cpu = MakeCpuBackend<float>(pool);
  const KmerScan expected = Predictor::Create(model, Precision::kFp32, *cpu)->ScanKmers(nulls.sequences, 2, 7).value();
  double largest = 0;
  for (const EffectMoments& m : expected.effects) largest = std::max(largest, std::abs(m.mean));
  ExpectEqual(largest > 0, true);
  const struct {
    Precision precision;
    double allowed;  // of the largest effect
  } rungs[] = {{Precision::kFp32, 1e-4}, {Precision::kTf32, 0.05}, {Precision::kBf16, 0.3}};
  for (const auto& [precision, allowed] : rungs) {
    const auto machine = DeviceMachine(precision);
    ASSERT_NE(machine, nullptr);
    const auto predictor = Predictor::Create(model, precision, *machine);
    ASSERT_TRUE(predictor.ok()) << predictor.status();
    const KmerScan drawn = predictor->ScanKmers(nulls.sequences, 2, 7, &*nulls.drawn).value();
    const KmerScan stored = predictor->ScanKmers(nulls.sequences, 2, 7).value();
    const std::vector<double> a = Values(drawn), b = Values(stored);
    ExpectSameBits(std::span<const double>(a), std::span<const double>(b), "drawn on the device");
    for (size_t m = 0; m < expected.effects.size(); ++m) {
      const std::string where = std::to_string(static_cast<int>(precision)) + ", 2-mer " + std::to_string(m);
      ExpectWithin(drawn.effects[m].mean, expected.effects[m].mean, allowed * largest, where + ", mean");
      ExpectWithin(std::sqrt(drawn.effects[m].squares), std::sqrt(expected.effects[m].squares),
                   allowed * std::sqrt(expected.effects[m].squares), where + ", spread");
    }
    for (size_t rank = 1; rank < drawn.order.size(); ++rank) {
      const int32_t before = drawn.order[rank - 1], after = drawn.order[rank];
      const double x = drawn.effects[before].mean, y = drawn.effects[after].mean;
      ExpectEqual(x > y || (x == y && before < after), true);
    }
  }
}

// Draws from a later one on, and a network whose predictions the check machine compares.
TEST(DeviceScan, LaterDrawsAndTheCheckingMachine) {
  const ModelFile model = SmallModel();
  const NullSet all = Nulls(model, 60);
  Sequences late;
  late.length = all.sequences.length;
  late.widths.assign(all.sequences.widths.begin() + 10, all.sequences.widths.end());
  late.bases.assign(all.sequences.packed(10), all.sequences.packed(0) + all.sequences.bases.size());
  DrawnSequences drawn = *all.drawn;
  drawn.first = 10;
  ThreadPool pool(1);
  const auto machine = MakeCheckMachine(pool, DeviceMachine(Precision::kFp32), Precision::kFp32);
  const auto predictor = Predictor::Create(model, Precision::kFp32, *machine);
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const auto checked = predictor->ScanKmers(late, 1, 0, &drawn);
  ASSERT_TRUE(checked.ok()) << checked.status();
  drawn.first = 11;  // other sequences than the CPU is given: the machine sees it
  const auto other = predictor->ScanKmers(late, 1, 0, &drawn);
  ExpectEqual(other.status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace rb
