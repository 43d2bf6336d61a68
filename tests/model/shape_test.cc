// Shapes, presets and settings.
#include "model/shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "model/config.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using ::testing::HasSubstr;

TEST(Shape, PresetsAreValid) {
  ExpectEqual(ValidateShape(kPaperShape).ok(), true);
  ExpectEqual(ValidateShape(kPublishedShape).ok(), true);
  ExpectEqual(kPaperShape.pools(), 4);
  ExpectEqual(kPaperShape.flat(), 384);
}

TEST(Shape, RefusalsNameTheField) {
  const struct {
    std::function<void(Shape&)> change;
    const char* field;
  } cases[] = {{[](Shape& s) { s.length = 15; }, "length is 15"},
               {[](Shape& s) { s.length = 513; }, "length is 513"},
               {[](Shape& s) { s.structure = 3; }, "structure is 3"},
               {[](Shape& s) { s.filters = 100; }, "filters is 100"},
               {[](Shape& s) { s.filters = 0; }, "filters is 0"},
               {[](Shape& s) { s.filters = 1 << 20; }, "filters"},
               {[](Shape& s) { s.first_width = 10; }, "first_width is 10"},
               {[](Shape& s) { s.width = 2; }, "width is 2"},
               {[](Shape& s) { s.residual_layers = 0; }, "residual_layers is 0"},
               {[](Shape& s) { s.residual_layers = 9; }, "residual_layers is 9"},
               {[](Shape& s) { s.residual_layers = 4; }, "dilations[3] is 0"},
               {[](Shape& s) { s.dilations[2] = 41; }, "dilations[2] is 41"},
               {[](Shape& s) { s.pool = 42; }, "pool is 42"},
               {[](Shape& s) { s.pool = 0; }, "pool is 0"},
               {[](Shape& s) { s.hidden = 40; }, "hidden is 40"},
               {[](Shape& s) { s.dropout_dense = 1.0f; }, "dropout_dense is 1"},
               {[](Shape& s) { s.dropout_first = -0.1f; }, "dropout_first"},
               {[](Shape& s) { s.dropout_inner = NAN; }, "dropout_inner"}};
  for (const auto& c : cases) {
    Shape shape;
    c.change(shape);
    const absl::Status status = ValidateShape(shape);
    ExpectEqual(status.code(), absl::StatusCode::kInvalidArgument, c.field);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.field));
  }
}

TEST(Shape, Geometry) {
  Shape shape = kPublishedShape;
  shape.structure = 5;
  shape.classification = true;
  const ScorerGeometry g = GeometryOf(shape);
  ExpectEqual(g.length, 41);
  ExpectEqual(g.structure, 5);
  ExpectEqual(g.filters, 96);
  ExpectEqual(g.first_width, 11);
  ExpectEqual(g.width, 3);
  ExpectEqual(g.residual_layers, 4);
  ExpectEqual(g.dilations[3], 8);
  ExpectEqual(g.pool, 10);
  ExpectEqual(g.hidden, 256);
  ExpectEqual(g.sigmoid, true);
}

// VARIANTS of the two presets, number by number.
TEST(Config, Presets) {
  const TrainConfig paper = PresetConfig(Preset::kPaper), published = PresetConfig(Preset::kPublished);
  ExpectEqual(paper.shape == kPaperShape, true);
  ExpectEqual(published.shape == kPublishedShape, true);
  for (const TrainConfig& c : {paper, published}) {
    ExpectEqual(c.batch, 100);
    ExpectEqual(c.schedule.learning_rate, 1e-3);
    ExpectEqual(c.schedule.decay, 0.3);
    ExpectEqual(c.schedule.decay_patience, 7);
    ExpectEqual(c.schedule.floor, 1e-6);
    ExpectEqual(c.schedule.max_epochs, 300);
    ExpectEqual(c.valid_fraction, 0.1);
    ExpectEqual(ValidateConfig(c).ok(), true);
  }
  ExpectEqual(paper.schedule.stop_patience, 25);
  ExpectEqual(published.schedule.stop_patience, 20);
  ExpectEqual(paper.schedule.first_best < -1, true);
  ExpectEqual(published.schedule.first_best, 0.0);
  ExpectEqual(paper.shape.dropout_inner, 0.2f);
  ExpectEqual(paper.shape.dropout_before_pool, 0.2f);
  ExpectEqual(published.shape.dropout_inner, 0.1f);
  ExpectEqual(published.shape.dropout_after_pool, 0.2f);
  ExpectEqual(published.preset, Preset::kPublished);
}

TEST(Config, SettingsReadBack) {
  TrainConfig c = PresetConfig(Preset::kPublished);
  c.shape.structure = 2;
  c.shape.dropout_dense = 0.3f;
  c.shape.classification = true;
  c.schedule.learning_rate = 1.0 / 3;
  c.schedule.first_best = -1e300;
  c.transform = TransformKind::kClip;
  c.seed = ~uint64_t{0};
  c.replicate = 17;
  c.precision = Precision::kBf16;
  const auto settings = SettingsOf(c);
  const auto read = ConfigFromSettings(settings);
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(SettingsOf(*read) == settings, true);
  ExpectEqual(read->shape == c.shape, true);
  ExpectEqual(read->seed, c.seed);
  ExpectEqual(read->schedule.learning_rate, c.schedule.learning_rate);
  ExpectEqual(read->schedule.first_best, -1e300);
  ExpectEqual(read->precision, Precision::kBf16);
  ExpectEqual(settings.at("shape.dilations"), std::string("1,2,4,8"));
}

TEST(Config, DamagedSettingsAreRefused) {
  const auto good = SettingsOf(PresetConfig(Preset::kPaper));
  for (const auto& [name, value] : good) {
    auto missing = good;
    missing.erase(name);
    ExpectEqual(ConfigFromSettings(missing).ok(), false, name);
    for (const char* wrong : {"", "x", "1e999999", "-", "nan "}) {
      auto damaged = good;
      damaged[name] = wrong;
      const auto read = ConfigFromSettings(damaged);
      ExpectEqual(read.ok(), false, name + " = " + wrong);
      EXPECT_THAT(std::string(read.status().message()), HasSubstr(name));
    }
  }
  for (const char* name : {"batch", "seed", "replicate", "shape.length", "shape.dilations"}) {
    auto damaged = good;
    damaged[name] = "99999999999999999999999";  // beyond any integer
    ExpectEqual(ConfigFromSettings(damaged).ok(), false, name);
  }
}

TEST(Config, UnusableValuesAreRefused) {
  const std::function<void(TrainConfig&)> changes[] = {[](TrainConfig& c) { c.batch = 0; },
                                                       [](TrainConfig& c) { c.valid_fraction = 0; },
                                                       [](TrainConfig& c) { c.valid_fraction = NAN; },
                                                       [](TrainConfig& c) { c.schedule.learning_rate = 0; },
                                                       [](TrainConfig& c) { c.schedule.learning_rate = INFINITY; },
                                                       [](TrainConfig& c) { c.schedule.decay = 1.5; },
                                                       [](TrainConfig& c) { c.schedule.decay_patience = 0; },
                                                       [](TrainConfig& c) { c.schedule.stop_patience = 0; },
                                                       [](TrainConfig& c) { c.schedule.max_epochs = 0; },
                                                       [](TrainConfig& c) { c.schedule.floor = -1; },
                                                       [](TrainConfig& c) { c.schedule.first_best = NAN; },
                                                       [](TrainConfig& c) { c.shape.pool = 0; }};
  for (const auto& change : changes) {
    TrainConfig c;
    change(c);
    ExpectEqual(ValidateConfig(c).code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace rb
