// Keras weight files of other networks, networks that describe themselves, and files made to hurt.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "data/hdf5_file.h"
#include "tests/model/keras_cases.h"
#include "tests/model/keras_writer.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectRefusal;
using test::ExpectSameNetwork;
using test::Import;
using test::KerasWriter;
using test::Layer;
using test::LayersOf;
using test::RandomModel;

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

// The description as Keras 2 and 3 write it, abridged to what is read.
std::string Config(const std::string& input, const std::string& padding, int pool, const std::string& epsilon,
                   const std::string& last) {
  const auto layer = [](const std::string& kind, const std::string& config) {
    return R"({"class_name": ")" + kind + R"(", "config": {"name": "l", )" + config + "}}, ";
  };
  const auto convolution = [&](int dilation) {
    return layer("Conv1D", R"("strides": [1], "padding": ")" + padding + R"(", "dilation_rate": [)" +
                               std::to_string(dilation) + R"(], "activation": "linear")");
  };
  const std::string size = std::to_string(pool);
  return R"({"class_name": "Functional", "config": {"layers": [)" +
         layer("InputLayer", "\"" + input + R"(": [null, 60, 4])") + convolution(1) + convolution(3) + convolution(2) +
         convolution(5) + layer("BatchNormalization", R"("epsilon": )" + epsilon) +
         layer("Activation", R"("activation": "relu")") +
         layer("AveragePooling1D", R"("pool_size": [)" + size + R"(], "strides": [)" + size + "]") +
         R"({"class_name": "Dense", "config": {"name": "out", "activation": ")" + last + R"("}}]}})";
}

TEST(Keras, DescribedNetworksAreWhatTheySay) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.h5");
  ModelFile model = RandomModel(Preset::kPaper, 0, 60, /*small=*/true);
  Shape& shape = model.config.shape;
  shape.pool = 20;
  shape.dilations[0] = 3, shape.dilations[2] = 5;
  shape.classification = true;
  model.parameters = test::RandomParameters(shape, 3);
  const auto write = [&](const std::string& config) {
    KerasWriter writer(path, {.variable = true, .saved = true});
    writer.Write(LayersOf(model));
    writer.Names(writer.id(), "model_config", {config});
  };
  write(Config("batch_input_shape", "same", 20, "0.001", "sigmoid"));
  ExpectSameNetwork(Import(path), model, "Keras 2");
  write(Config("batch_shape", "same", 20, "0.001", "sigmoid"));
  ExpectSameNetwork(Import(path), model, "Keras 3");
  KerasChoices choices;
  choices.dilations = {1, 2, 3};
  choices.classification = false;
  const ModelFile chosen = Import(path, choices).value();
  ExpectEqual(chosen.config.shape.dilations[0], 1, "flags overrule");
  ExpectEqual(chosen.config.shape.classification, false, "flags overrule");
  write(Config("batch_shape", "same", 20, "0.001", "linear"));
  ExpectEqual(Import(path)->config.shape.classification, false);
  const std::vector<std::pair<std::string, std::vector<std::string>>> refused = {
      {Config("batch_shape", "same", 20, "1e-05", "linear"), {"layer l", "epsilon 1e-05", "0.001"}},
      {Config("batch_shape", "causal", 20, "0.001", "linear"), {"padding 'causal'", "'same'"}},
      {Config("batch_shape", "same", 0, "0.001", "linear"), {"AveragePooling1D of size 0"}},
      {Config("batch_shape", "same", 10, "0.001", "linear"), {"length 60 and pool 10"}},
      {Config("batch_shape", "same", 20, "0.001", "softmax"), {"layer out", "softmax"}},
      {"{\"class_name\": ", {"model_config", "no JSON object"}},
      {"[1, 2]", {"model_config", "no JSON object"}},
  };
  for (const auto& [config, fragments] : refused) {
    write(config);
    ExpectRefusal(path, {}, fragments);
  }
  // Nothing that is of use, and nothing that hurts.
  for (const char* odd :
       {"{}", R"({"config": 3})", R"({"config": [[], {"config": {"layers": {}}}, null]})",
        R"({"config": {"layers": [{"class_name": "InputLayer", "config": {"batch_shape": [1, [2], {}]}}]}})"}) {
    write(odd);
    KerasChoices rest;
    rest.length = 60, rest.pool = 20, rest.dilations = {3, 2, 5}, rest.classification = true;
    ExpectSameNetwork(Import(path, rest), model, odd);
  }
}

// A description of this network, with one layer after another exchanged for one that it cannot be.
TEST(Keras, LayersThatThisNetworkHasNotAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.h5");
  const ModelFile model = RandomModel(Preset::kPaper, 0, 41, /*small=*/true);
  const std::vector<std::string> layers = {
      R"("InputLayer", "config": {"name": "in", "batch_shape": [null, 41, 4])",
      R"("Conv1D", "config": {"name": "conv", "padding": "same", "activation": "linear")",
      R"("BatchNormalization", "config": {"name": "norm", "epsilon": 0.001)",
      R"("ReLU", "config": {"name": "relu", "max_value": null, "negative_slope": 0.0, "threshold": 0.0)",
      R"("SpatialDropout1D", "config": {"name": "dropout", "rate": 0.1)",
      R"("TFOpLambda", "config": {"name": "plus", "function": "__operators__.add")",
      R"("Dense", "config": {"name": "hidden", "activation": "linear")",
      R"("Activation", "config": {"name": "act", "activation": "relu")",
      R"("Dense", "config": {"name": "out", "activation": "linear")"};
  const auto write = [&](size_t place, const std::string& other) {
    std::string config;
    for (size_t i = 0; i < layers.size(); ++i) {
      config += (i == 0 ? R"({"class_name": )" : R"(, {"class_name": )") + (i == place ? other : layers[i]) + "}}";
    }
    KerasWriter writer(path, {.variable = true, .saved = true});
    writer.Write(LayersOf(model));
    writer.Names(writer.id(), "model_config",
                 {R"({"class_name": "Functional", "config": {"layers": [)" + config + "]}}"});
  };
  write(layers.size(), "");
  KerasChoices choices;
  choices.dilations = {1, 2, 4};
  ExpectSameNetwork(Import(path, choices), model, "none of them");
  struct Case {
    size_t place;
    std::string layer;
    std::vector<std::string> fragments;
  };
  const std::vector<Case> cases = {
      {3, R"("LeakyReLU", "config": {"name": "leaky", "negative_slope": 0.3)", {"layer leaky", "a layer LeakyReLU"}},
      {3, R"("ELU", "config": {"name": "elu", "alpha": 1.0)", {"layer elu", "a layer ELU"}},
      {3, R"("PReLU", "config": {"name": "prelu")", {"layer prelu", "a layer PReLU"}},
      {3, R"("ReLU", "config": {"name": "six", "max_value": 6.0)", {"layer six", "ReLU with max_value 6.0"}},
      {3, R"("ReLU", "config": {"name": "r", "negative_slope": [0.1])", {"layer r", "ReLU with negative_slope [0.1]"}},
      {3, R"("ReLU", "config": {"name": "r", "threshold": 0.5)", {"layer r", "ReLU with threshold 0.5"}},
      {3, R"("Lambda", "config": {"name": "l")", {"layer l", "a layer Lambda"}},
      {4, R"("LayerNormalization", "config": {"name": "l")", {"a layer LayerNormalization"}},
      {4, R"("MaxPooling1D", "config": {"name": "max", "pool_size": [2])", {"layer max", "MaxPooling1D"}},
      {5, R"("TFOpLambda", "config": {"name": "times", "function": "math.multiply")", {"a layer math.multiply"}},
      {1,
       R"("Conv1D", "config": {"name": "conv", "padding": "same", "activation": "relu")",
       {"layer conv", "activation relu in a layer Conv1D", "batch norm comes before ReLU"}},
      {6, R"("Dense", "config": {"name": "hidden", "activation": "relu")", {"layer hidden", "activation relu"}},
      {7, R"("Activation", "config": {"name": "act", "activation": "sigmoid")", {"layer out", "behind a sigmoid"}},
      {7, R"("Activation", "config": {"name": "act", "activation": {"class_name": "LeakyReLU"})", {"LeakyReLU"}},
      {8, R"("ReLU", "config": {"name": "end")", {"a ReLU behind the last layer"}},
  };
  for (const Case& one : cases) {
    write(one.place, one.layer);
    ExpectRefusal(path, choices, one.fragments);
  }
}

constexpr char kKernel[] = "conv1d_1/conv1d_1/kernel:0";

// A good file (or an empty one), spoilt, and what is said of it.
using Spoil = std::function<void(hid_t file, KerasWriter&)>;
void ExpectRefusalOf(bool empty, const Spoil& spoil, const std::vector<std::string>& fragments) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.h5");
  {
    KerasWriter writer(path, {});
    if (!empty) writer.Write(LayersOf(RandomModel(Preset::kPaper, 0, 41, /*small=*/true)));
    spoil(writer.id(), writer);
  }
  ExpectRefusal(path, {}, fragments);
}

void Remove(hid_t file, const char* name) { EXPECT_GE(H5Ldelete(file, name, H5P_DEFAULT), 0) << name; }

TEST(Keras, WhatIsNotHdf5IsRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("w.keras");
  ExpectRefusal(folder.path("none.h5"), {}, {"no such file"});
  ExpectRefusal(folder.path(""), {}, {"not an HDF5 file"});
  test::WriteBytes(path, "PK\x03\x04 this is a .keras archive");
  ExpectRefusal(path, {}, {"is a .keras archive, not an HDF5 file", "model.save_weights(\"NAME.weights.h5\")"});
}

TEST(Keras, HostileLinksAreRefused) {
  const auto refuse = [](const Spoil& spoil, const std::vector<std::string>& fragments) {
    ExpectRefusalOf(/*empty=*/false, spoil, fragments);
  };
  refuse([](hid_t file, KerasWriter&) { Remove(file, kKernel); }, {kKernel, "expected a dataset"});
  refuse([](hid_t file, KerasWriter&) { Remove(file, "dense"); }, {":/dense", "expected a group"});
  refuse(
      [](hid_t file, KerasWriter&) {  // a link to itself
        Remove(file, "dense");
        EXPECT_GE(H5Lcreate_soft("/dense", file, "dense", H5P_DEFAULT, H5P_DEFAULT), 0);
      },
      {":/dense", "expected a group"});
  refuse(
      [](hid_t file, KerasWriter&) {  // a group that holds itself, in place of the weight
        Remove(file, kKernel);
        EXPECT_GE(H5Lcreate_hard(file, "conv1d_1", file, kKernel, H5P_DEFAULT, H5P_DEFAULT), 0);
      },
      {kKernel, "expected a dataset"});
  refuse(
      [](hid_t file, KerasWriter&) {
        Remove(file, kKernel);
        EXPECT_GE(H5Lcreate_external("/etc/passwd", "/x", file, kKernel, H5P_DEFAULT, H5P_DEFAULT), 0);
      },
      {kKernel});
}

TEST(Keras, HostileValuesAreRefused) {
  const auto refuse = [](const std::vector<hsize_t>& dims, const std::vector<std::string>& fragments,
                         hid_t type = H5T_IEEE_F32LE) {
    const auto replace = [&](hid_t file, KerasWriter&) {
      Remove(file, kKernel);
      const int rank = static_cast<int>(dims.size());
      const Hdf5Handle create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
      const std::vector<hsize_t> chunk(dims.size(), 1);
      if (rank > 0 && dims[0] > 0) H5Pset_chunk(create.id(), rank, chunk.data());
      const Hdf5Handle space(H5Screate_simple(rank, dims.data(), nullptr), H5Sclose);
      const Hdf5Handle made(H5Dcreate2(file, kKernel, type, space.id(), H5P_DEFAULT, create.id(), H5P_DEFAULT),
                            H5Dclose);
      EXPECT_TRUE(made.ok());
    };
    ExpectRefusalOf(/*empty=*/false, replace, fragments);
  };
  refuse({3, 32, 32, 1}, {kKernel, "4 axes"});
  refuse({}, {kKernel, "0 axes"});
  refuse({0, 32, 32}, {kKernel, "no values"});
  refuse({2000000000, 2000000000, 2000000000}, {kKernel, "too many values"});
  refuse({20000, 20000}, {kKernel, "too many values"});
  refuse({hsize_t{1} << 40}, {kKernel, "axis of"});
  refuse({3, 32, 32}, {kKernel, "found room for 3072 values that were not all written"});
  refuse({3, 32, 32}, {kKernel, "not numbers"}, H5T_C_S1);
  const Hdf5Handle complex(H5Tcreate(H5T_COMPOUND, 8), H5Tclose);
  H5Tinsert(complex.id(), "real", 0, H5T_IEEE_F32LE);
  H5Tinsert(complex.id(), "imaginary", 4, H5T_IEEE_F32LE);
  refuse({3, 32, 32}, {kKernel, "not numbers"}, complex.id());
}

TEST(Keras, HostileListsAreRefused) {
  const auto refuse = [](const Spoil& spoil, const std::vector<std::string>& fragments) {
    ExpectRefusalOf(/*empty=*/true, spoil, fragments);
  };
  const auto group = [](hid_t file, const char* name) { KerasWriter::Group(file, name); };
  refuse([](hid_t, KerasWriter&) {}, {"no list of layers"});
  refuse([&](hid_t file, KerasWriter&) { group(file, "layers"); }, {"0 convolutions"});
  refuse([](hid_t file, KerasWriter& w) { w.Array(file, "layers", {"", {1}, {1}}); }, {"/layers", "group"});
  refuse([](hid_t file, KerasWriter& w) { w.Names(file, "layer_names", {"a", "b\nc"}); }, {":/a", "group"});
  refuse([](hid_t file, KerasWriter& w) { w.Names(file, "layer_names", {""}); }, {":/", "group"});
  refuse(
      [&](hid_t file, KerasWriter& w) {
        group(file, "a\nb");
        group(file, "a\nb/c");
        w.Names(file, "layer_names", {"a\nb"});
      },
      {"a\\nb", "weight_names"});
  refuse(
      [](hid_t file, KerasWriter&) {
        const hsize_t count = 3;
        const Hdf5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
        Hdf5Handle(H5Acreate2(file, "layer_names", H5T_STD_I32LE, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
      },
      {"layer_names", "not strings"});
}

}  // namespace
}  // namespace rb
