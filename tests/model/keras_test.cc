// Keras weight files: what is exported reads back, and what others may write reads too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "model/predictor.h"
#include "tests/model/keras_cases.h"
#include "tests/model/keras_writer.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectSameNetwork;
using test::Import;
using test::KerasWriter;
using test::Layer;
using test::LayersOf;
using test::RandomModel;
using test::Variant;
using ::testing::HasSubstr;

std::vector<float> Predictions(const ModelFile& model, Machine& machine) {
  const Shape& shape = model.config.shape;
  const Dataset dataset = test::ToyDataset(60, 1, shape.length, shape.structure);
  return Predictor::Create(model, Precision::kFp32, machine).value().Predict(dataset.sequences).value();
}

TEST(Keras, WhatIsExportedReadsBack) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.h5");
  ThreadPool pool(1);
  const auto machine = MakeCpuBackend<float>(pool);
  for (const Preset preset : {Preset::kPaper, Preset::kPublished}) {
    for (const int structure : {0, 2, 5}) {
      for (const int length : {41, 39}) {
        const ModelFile model = RandomModel(preset, structure, length);
        const std::string what = std::string(PresetName(preset)) + " " + std::to_string(structure);
        const auto bytes = KerasWeightsFile(model);
        ASSERT_TRUE(bytes.ok()) << bytes.status();
        ExpectEqual(*bytes == *KerasWeightsFile(model), true, "the same bytes again");
        test::WriteBytes(path, *bytes);
        const auto found = Import(path);
        ExpectSameNetwork(found, model, what);
        test::ExpectSameBits<float>(Predictions(*found, *machine), Predictions(model, *machine), what);
      }
    }
  }
}

TEST(Keras, WhatIsImportedIsAModelFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.h5"), model_path = folder.path("m.safetensors");
  test::WriteBytes(path, *KerasWeightsFile(RandomModel(Preset::kPublished, 2, 41)));
  KerasChoices choices;
  choices.experiment = "RNCMPT1";
  const ModelFile model = Import(path, choices).value();
  ASSERT_TRUE(WriteModel(model, model_path).ok());
  const auto again = ReadModel(model_path);
  ExpectSameNetwork(again, model, "written and read");
  ExpectEqual(again->experiment, std::string("RNCMPT1"));
  ExpectEqual(again->structure_source, std::string(kGivenProfiles));
  ExpectEqual(again->extra.contains(kUnknownTransform), true);
  ExpectEqual(again->profile.empty(), true);
  // What raw scores would be compared with is unknown; transformed ones are taken as they are.
  Dataset dataset = test::ToyDataset(20, 1, 41, 2);
  const auto refused = TransformedTargets(*again, dataset, 0, {0, 1});
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("imported without its data"));
  dataset.transformed = true;
  ExpectEqual(TransformedTargets(*again, dataset, 0, {0, 1}).ok(), true);
}

TEST(Keras, WhatOthersWriteReads) {
  const test::TemporaryFolder folder;
  const ModelFile model = RandomModel(Preset::kPublished, 0, 41, /*small=*/true);
  for (int bits = 0; bits < 64; ++bits) {
    const Variant variant{.variable = (bits & 1) != 0,
                          .doubles = (bits & 2) != 0,
                          .saved = (bits & 4) != 0,
                          .keras3 = false,
                          .names_a_list = bits & 8 ? size_t{3} : 0,
                          .compressed = (bits & 16) != 0};
    const std::string path = folder.path(std::to_string(bits) + ".h5");
    KerasWriter(path, variant).Write(LayersOf(model, bits & 32 ? 8 : 0));
    ExpectSameNetwork(Import(path), model, "variant " + std::to_string(bits));
  }
}

// conv1d_10 comes behind conv1d_9 though the alphabet has it otherwise, and groups have no lists.
TEST(Keras, Keras3Reads) {
  const test::TemporaryFolder folder;
  for (const int first : {0, 1, 8, 97}) {
    const ModelFile model = RandomModel(Preset::kPaper, 5, 39, /*small=*/true);
    const std::string path = folder.path(std::to_string(first) + ".h5");
    KerasWriter(path, {.keras3 = true}).Write(LayersOf(model, first));
    ExpectSameNetwork(Import(path), model, "from " + std::to_string(first));
  }
}

// Values in the file that the network does without.
TEST(Keras, BiasesAndPlainNormsReads) {
  const test::TemporaryFolder folder;
  const ModelFile model = RandomModel(Preset::kPaper, 0, 41, /*small=*/true);
  ModelFile expected = model;
  const ParameterTable table(model.config.shape);
  const auto change = [&](const std::string& tensor, const std::function<float(float, int)>& f) {
    float* const values = expected.parameters.data() + table.at(tensor).offset;
    for (int i = 0; i < 32; ++i) values[i] = f(values[i], i);
  };
  std::vector<Layer> layers = LayersOf(model);
  std::vector<double> bias;
  for (int i = 0; i < 32; ++i) bias.push_back(0.25 * (i - 7));
  for (Layer& layer : layers) {
    std::vector<test::Weight>& weights = layer.weights;
    if (layer.name == "conv1d_2" || layer.name == "dense") weights.push_back({layer.name + "/bias:0", {32}, bias});
    if (layer.name == "batch_normalization_1") weights.erase(weights.begin());      // gamma
    if (layer.name == "batch_normalization_3") weights.erase(weights.begin() + 1);  // beta
    if (layer.name == "dense_1") weights.pop_back();                                // bias
    if (layer.name == "batch_normalization") std::swap(weights[0], weights[3]);     // known by their names
  }
  for (const char* tensor : {"conv2.norm.mean", "dense.norm.mean"}) {
    change(tensor, [&](float v, int i) { return v - static_cast<float>(bias[static_cast<size_t>(i)]); });
  }
  change("conv1.norm.gamma", [](float, int) { return 1.0f; });
  change("conv3.norm.beta", [](float, int) { return 0.0f; });
  expected.parameters[static_cast<size_t>(table.at("head.weight").offset) + 32] = 0;
  const std::string path = folder.path("w.h5");
  KerasWriter(path, {}).Write(layers);
  ExpectSameNetwork(Import(path), expected, "biases");
}

// A model inside the model is one layer: all trained weights first, then all running statistics.
TEST(Keras, NestedModelsRead) {
  const test::TemporaryFolder folder;
  const ModelFile model = RandomModel(Preset::kPaper, 0, 41, /*small=*/true);
  Layer nested{"functional_1", {}}, statistics;
  for (const Layer& layer : LayersOf(model)) {
    for (const test::Weight& weight : layer.weights) {
      (weight.name.find("moving") == std::string::npos ? nested : statistics).weights.push_back(weight);
    }
  }
  nested.weights.insert(nested.weights.end(), statistics.weights.begin(), statistics.weights.end());
  const std::string path = folder.path("w.h5");
  KerasWriter(path, {}).Write({nested});
  ExpectSameNetwork(Import(path), model, "nested");
}

TEST(Keras, ChoicesAreTaken) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.h5");
  ModelFile model = RandomModel(Preset::kPaper, 0, 41, /*small=*/true);
  Shape& shape = model.config.shape;
  shape.length = 60;
  shape.pool = 20;
  shape.dilations[0] = 3, shape.dilations[2] = 5;
  shape.classification = true;
  model.parameters = test::RandomParameters(shape, 3);
  KerasWriter(path, {}).Write(LayersOf(model));
  KerasChoices choices;
  choices.length = 60;
  choices.pool = 20;
  choices.dilations = {3, 2, 5};
  choices.classification = true;
  ExpectSameNetwork(Import(path, choices), model, "choices");
  ExpectEqual(Import(path, choices)->extra.contains(kUnknownTransform), false, "labels have no transform");
  // 39 where 41 does not fit, else the pools that there are.
  for (const auto& [length, expected] : std::vector<std::pair<int, int>>{{39, 39}, {41, 41}, {45, 41}, {65, 60}}) {
    const ModelFile other = RandomModel(Preset::kPaper, 0, length, /*small=*/true);
    KerasWriter(path, {}).Write(LayersOf(other));
    ExpectEqual(Import(path)->config.shape.length, expected);
  }
  choices = {};
  choices.preset = Preset::kPublished;
  ExpectEqual(Import(path, choices)->config.preset == Preset::kPublished, true, "the preset that is asked for");
}

}  // namespace
}  // namespace rb
