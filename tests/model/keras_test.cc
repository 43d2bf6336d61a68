// Keras weight files: what is exported reads back, what others may write reads too, and all else is refused in a line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "data/hdf5_file.h"
#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "model/keras_file.h"
#include "model/keras_import.h"
#include "model/predictor.h"
#include "tests/model/keras_writer.h"
#include "tests/model/naive_network.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::KerasWriter;
using test::Layer;
using test::LayersOf;
using test::Variant;
using ::testing::HasSubstr;

ModelFile RandomModel(Preset preset, int structure, int length, bool small = false) {
  ModelFile model;
  model.config = PresetConfig(preset);
  Shape& shape = model.config.shape;
  shape.structure = structure;
  shape.length = length;
  if (small) shape.filters = shape.hidden = 32;
  model.experiment = "EXP1";
  if (structure > 0) model.structure_source = kGivenProfiles;
  model.parameters = test::RandomParameters(shape, static_cast<uint64_t>(structure + length));
  return model;
}

absl::StatusOr<ModelFile> Import(const std::string& path, const KerasChoices& choices = {}) {
  const auto layers = ReadKerasWeights(path);
  if (!layers.ok()) return layers.status();
  return ModelFromKeras(*layers, choices, path);
}

std::vector<float> Values(const ModelFile& model, const std::string& tensor) {
  const ParameterTable table(model.config.shape);
  const TensorSpec& spec = table.at(tensor);
  return {model.parameters.begin() + spec.offset, model.parameters.begin() + spec.offset + spec.size};
}

void ExpectSameNetwork(const absl::StatusOr<ModelFile>& found, const ModelFile& expected, const std::string& what) {
  ASSERT_TRUE(found.ok()) << what << ": " << found.status();
  ExpectEqual(found->config.shape == expected.config.shape, true, what);
  ExpectEqual(PresetName(found->config.preset), PresetName(expected.config.preset), what);
  ASSERT_EQ(found->config.shape, expected.config.shape) << what;
  const ParameterTable table(expected.config.shape);
  for (const TensorSpec& spec : table.tensors()) {
    const std::vector<float> a = Values(*found, spec.name), b = Values(expected, spec.name);
    test::ExpectSameBits<float>(a, b, what + " " + spec.name);
  }
}

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

void ExpectRefusal(const std::string& path, const KerasChoices& choices, const std::vector<std::string>& fragments) {
  const auto found = Import(path, choices);
  ExpectEqual(found.ok(), false, fragments.back());
  const std::string message(found.status().message());
  EXPECT_THAT(message, HasSubstr(path));
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments) EXPECT_THAT(message, HasSubstr(fragment));
  test::CountComparisons(static_cast<int64_t>(fragments.size()));
}

test::Weight& WeightOf(std::vector<Layer>& layers, const std::string& layer, size_t number) {
  for (Layer& one : layers) {
    if (one.name == layer) return one.weights.at(number);
  }
  ADD_FAILURE() << layer;
  return layers.at(0).weights.at(0);
}

TEST(Keras, WrongNetworksAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.h5");
  const std::vector<Layer> good = LayersOf(RandomModel(Preset::kPaper, 0, 41, /*small=*/true));
  const auto resize = [](test::Weight& weight, std::vector<hsize_t> shape) {
    size_t size = 1;
    for (const hsize_t n : shape) size *= n;
    weight.shape = std::move(shape);
    weight.values.resize(size, 0.5);
  };
  const auto refuse = [&](const std::function<void(std::vector<Layer>&)>& spoil, std::vector<std::string> fragments,
                          const KerasChoices& choices = {}) {
    std::vector<Layer> layers = good;
    spoil(layers);
    KerasWriter(path, {}).Write(layers);
    ExpectRefusal(path, choices, fragments);
  };
  const auto set = [&](const std::string& layer, size_t number, const std::vector<hsize_t>& shape) {
    return [=](std::vector<Layer>& layers) { resize(WeightOf(layers, layer, number), shape); };
  };
  refuse(set("conv1d", 0, {11, 5, 32}), {"conv1d/conv1d/kernel:0", "(11, 5, 32)", "4, 6 or 9"});
  refuse(set("conv1d", 0, {10, 4, 32}), {"first_width is 10"});
  refuse(set("conv1d_2", 0, {3, 32, 64}), {"conv1d_2/conv1d_2/kernel:0", "(3, 32, 64)", "(3, 32, 32)"});
  refuse(set("conv1d_3", 0, {5, 32, 32}), {"conv1d_3", "(5, 32, 32)"});
  refuse(set("dense", 0, {130, 32}), {"dense/dense/kernel:0", "(130, 32)", "multiple of 32"});
  refuse(set("dense_1", 0, {32, 2}), {"dense_1/dense_1", "(32, 2)"});
  refuse(set("dense_1", 1, {2}), {"dense_1", "(32, 1) (2)"});
  refuse(set("batch_normalization_1", 2, {31}), {"batch_normalization_1", "(32) (32) (31) (32)"});
  refuse(
      [&](std::vector<Layer>& l) {
        for (int i = 0; i < 4; ++i) resize(WeightOf(l, "batch_normalization_4", i), {64});
      },
      {"batch_normalization_4", "64 channels", "dense/kernel"});
  refuse([](std::vector<Layer>& l) { WeightOf(l, "batch_normalization", 3).values[5] = -1; },
         {"batch_normalization/moving_variance", "negative"});
  refuse([](std::vector<Layer>& l) { WeightOf(l, "conv1d_1", 0).values[7] = NAN; },
         {"conv1d_1/kernel:0", "nan", "value 7"});
  refuse([](std::vector<Layer>& l) { WeightOf(l, "dense", 0).values[0] = INFINITY; }, {"dense/kernel:0", "inf"});
  refuse([](std::vector<Layer>& l) { std::erase_if(l, [](const Layer& one) { return one.name == "dense_1"; }); },
         {"4 convolutions, 1 dense layers and 5 batch norms", "2 dense layers"});
  refuse([](std::vector<Layer>& l) { std::erase_if(l, [](const Layer& one) { return one.name == "conv1d_2"; }); },
         {"3 convolutions", "5 batch norms"});
  refuse([](std::vector<Layer>& l) { l.clear(); }, {"0 convolutions"});
  KerasChoices choices;
  choices.dilations = {1, 2};
  refuse([](std::vector<Layer>&) {}, {"3 residual convolutions and 2 dilations"}, choices);
  choices = {};
  choices.length = 70;
  refuse([](std::vector<Layer>&) {}, {"dense/kernel:0", "4 positions after pooling", "length 70"}, choices);
  choices.length = 41;
  choices.dilations = {1, 2, 100};
  refuse([](std::vector<Layer>&) {}, {"dilations[2] is 100"}, choices);
}

TEST(Keras, HostileFilesAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.h5");
  ExpectRefusal(folder.path("none.h5"), {}, {"no such file"});
  ExpectRefusal(folder.path(""), {}, {"not an HDF5 file"});
  test::WriteBytes(path, "PK\x03\x04 this is a .keras archive");
  ExpectRefusal(path, {}, {"not an HDF5 file", "save_weights"});
  const std::vector<Layer> good = LayersOf(RandomModel(Preset::kPaper, 0, 41, /*small=*/true));
  const auto refuse = [&](const std::function<void(hid_t file, KerasWriter&)>& spoil,
                          const std::vector<std::string>& fragments, const std::vector<Layer>& layers) {
    {
      KerasWriter writer(path, {});
      if (!layers.empty()) writer.Write(layers);
      spoil(writer.id(), writer);
    }
    ExpectRefusal(path, {}, fragments);
  };
  constexpr char kKernel[] = "conv1d_1/conv1d_1/kernel:0";
  const auto remove = [](hid_t file, const char* name) { EXPECT_GE(H5Ldelete(file, name, H5P_DEFAULT), 0); };
  refuse([&](hid_t file, KerasWriter&) { remove(file, kKernel); }, {kKernel, "expected a dataset"}, good);
  refuse([&](hid_t file, KerasWriter&) { remove(file, "dense"); }, {":/dense", "expected a group"}, good);
  refuse(
      [&](hid_t file, KerasWriter&) {  // a link to itself
        remove(file, "dense");
        EXPECT_GE(H5Lcreate_soft("/dense", file, "dense", H5P_DEFAULT, H5P_DEFAULT), 0);
      },
      {":/dense", "expected a group"}, good);
  refuse(
      [&](hid_t file, KerasWriter&) {  // a group that holds itself, in place of the weight
        remove(file, kKernel);
        EXPECT_GE(H5Lcreate_hard(file, "conv1d_1", file, kKernel, H5P_DEFAULT, H5P_DEFAULT), 0);
      },
      {kKernel, "expected a dataset"}, good);
  refuse(
      [&](hid_t file, KerasWriter&) {
        remove(file, kKernel);
        EXPECT_GE(H5Lcreate_external("/etc/passwd", "/x", file, kKernel, H5P_DEFAULT, H5P_DEFAULT), 0);
      },
      {kKernel}, good);
  refuse(
      [&](hid_t file, KerasWriter&) {
        remove(file, kKernel);
        const Hdf5Handle type(H5Tcreate(H5T_COMPOUND, 8), H5Tclose), space(H5Screate(H5S_SCALAR), H5Sclose);
        H5Tinsert(type.id(), "real", 0, H5T_IEEE_F32LE);
        H5Tinsert(type.id(), "imaginary", 4, H5T_IEEE_F32LE);
        Hdf5Handle(H5Dcreate2(file, kKernel, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
      },
      {kKernel, "not numbers"}, good);
  const auto replace = [&](const std::vector<hsize_t>& dims) {
    return [&, dims](hid_t file, KerasWriter&) {
      remove(file, kKernel);
      const int rank = static_cast<int>(dims.size());
      const Hdf5Handle create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
      std::vector<hsize_t> chunk(dims.size(), 1);
      if (rank > 0 && dims[0] > 0) H5Pset_chunk(create.id(), rank, chunk.data());
      const Hdf5Handle space(H5Screate_simple(rank, dims.data(), nullptr), H5Sclose);
      Hdf5Handle(H5Dcreate2(file, kKernel, H5T_IEEE_F32LE, space.id(), H5P_DEFAULT, create.id(), H5P_DEFAULT),
                 H5Dclose);
    };
  };
  refuse(replace({3, 32, 32, 1}), {kKernel, "4 axes"}, good);
  refuse(replace({}), {kKernel, "0 axes"}, good);
  refuse(replace({0, 32, 32}), {kKernel, "no values"}, good);
  refuse(replace({2000000000, 2000000000, 2000000000}), {kKernel, "too many values"}, good);
  refuse(replace({20000, 20000}), {kKernel, "too many values"}, good);
  refuse(replace({hsize_t{1} << 40}), {kKernel, "axis of"}, good);
  refuse([](hid_t, KerasWriter&) {}, {"no list of layers"}, {});
  const auto group = [](hid_t file, const char* name) { KerasWriter::Group(file, name); };
  refuse([&](hid_t file, KerasWriter&) { group(file, "layers"); }, {"0 convolutions"}, {});
  refuse([&](hid_t file, KerasWriter& w) { w.Array(file, "layers", {"", {1}, {1}}); }, {"/layers", "group"}, {});
  refuse([&](hid_t file, KerasWriter& w) { w.Names(file, "layer_names", {"a", "b\nc"}); }, {":/a", "group"}, {});
  refuse(
      [&](hid_t file, KerasWriter& w) {
        group(file, "a\nb");
        group(file, "a\nb/c");
        w.Names(file, "layer_names", {"a\nb"});
      },
      {"a\\nb", "weight_names"}, {});
  refuse(
      [](hid_t file, KerasWriter&) {
        const hsize_t count = 3;
        const Hdf5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
        Hdf5Handle(H5Acreate2(file, "layer_names", H5T_STD_I32LE, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
      },
      {"layer_names", "not strings"}, {});
}

}  // namespace
}  // namespace rb
