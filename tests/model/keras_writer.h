// Keras weight files as other writers may lay them out, made with HDF5's C API alone.
#ifndef RB_TESTS_MODEL_KERAS_WRITER_H_
#define RB_TESTS_MODEL_KERAS_WRITER_H_

#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/hdf5_file.h"
#include "model/model_file.h"

namespace rb::test {

struct Weight {
  std::string name;
  std::vector<hsize_t> shape;
  std::vector<double> values;
};
struct Layer {
  std::string name;
  std::vector<Weight> weights;
};

struct Variant {
  bool variable = false;    // strings of variable length
  bool doubles = false;     // values as float64
  bool saved = false;       // by `save`: below /model_weights
  bool keras3 = false;      // /layers/<layer>/vars/<number>
  size_t names_a_list = 0;  // lists split after so many names
  bool compressed = false;
};

// A model's layers under Keras' names, activations and the like among them. Numbers begin at `first`, as they do for
// the second network of a session: 9 puts conv1d_10 before conv1d_9 in the alphabet.
inline std::vector<Layer> LayersOf(const ModelFile& model, int first = 0) {
  const Shape& shape = model.config.shape;
  const ParameterTable table(shape);
  std::vector<Layer> layers = {{"input_1", {}}};
  int convolutions = first, norms = first, others = first;
  const auto numbered = [](const std::string& kind, int n) { return n == 0 ? kind : kind + "_" + std::to_string(n); };
  const auto add = [&](const std::string& kind, int number, const std::string& tensor,
                       const std::vector<std::string>& names) {
    Layer layer{numbered(kind, number), {}};
    for (const std::string& name : names) {
      const size_t equals = name.find('=');
      const TensorSpec& spec = table.at(tensor + name.substr(equals + 1));
      layer.weights.push_back(
          {layer.name + "/" + name.substr(0, equals) + ":0",
           {spec.shape.begin(), spec.shape.end()},
           {model.parameters.begin() + spec.offset, model.parameters.begin() + spec.offset + spec.size}});
    }
    layers.push_back(layer);
  };
  const auto add_norm = [&](const std::string& tensor) {
    add("batch_normalization", norms++, tensor,
        {"gamma=.norm.gamma", "beta=.norm.beta", "moving_mean=.norm.mean", "moving_variance=.norm.variance"});
    layers.push_back({numbered("activation", others), {}});
    layers.push_back({numbered("dropout", others++), {}});
  };
  for (int i = 0; i <= shape.residual_layers; ++i) {
    const std::string tensor = i == 0 ? "embed" : "conv" + std::to_string(i);
    add("conv1d", convolutions++, tensor, {"kernel=.weight"});
    add_norm(tensor);
  }
  for (const char* name : {"add", "average_pooling1d", "flatten"}) layers.push_back({name, {}});
  add("dense", first, "dense", {"kernel=.weight"});
  add_norm("dense");
  add("dense", first + 1, "head", {"kernel=.weight"});
  Layer& head = layers.back();
  std::vector<double> values = head.weights[0].values;
  const Weight bias{head.name + "/bias:0", {1}, {values.back()}};
  values.pop_back();
  head.weights = {{head.name + "/kernel:0", {values.size(), 1}, values}, bias};
  return layers;
}

class KerasWriter {
 public:
  KerasWriter(const std::string& path, Variant variant)
      : variant_(variant), file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose) {}
  hid_t id() const { return file_.id(); }

  void Write(const std::vector<Layer>& layers) {
    Hdf5Handle below;
    if (variant_.saved) below = Group(id(), "model_weights");
    if (variant_.keras3) below = Group(id(), "layers");
    const hid_t root = below.ok() ? below.id() : id();
    std::vector<std::string> names;
    for (const Layer& layer : layers) {
      names.push_back(layer.name);
      const Hdf5Handle group = Group(root, layer.name);
      std::vector<std::string> weights;
      if (variant_.keras3) Group(group.id(), "vars");
      for (const Weight& weight : layer.weights) {
        const std::string name = variant_.keras3 ? "vars/" + std::to_string(weights.size()) : weight.name;
        weights.push_back(weight.name);
        Array(group.id(), name, weight);
      }
      if (!variant_.keras3) Names(group.id(), "weight_names", weights);
    }
    if (!variant_.keras3) Names(root, "layer_names", names);
  }

  static Hdf5Handle Group(hid_t parent, const std::string& name) {
    return {H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
  }

  void Array(hid_t parent, const std::string& name, const Weight& weight) {
    const Hdf5Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose), create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_create_intermediate_group(links.id(), 1);
    const int rank = static_cast<int>(weight.shape.size());
    if (variant_.compressed) {
      H5Pset_chunk(create.id(), rank, weight.shape.data());
      H5Pset_deflate(create.id(), 1);
    }
    const Hdf5Handle space(H5Screate_simple(rank, weight.shape.data(), nullptr), H5Sclose);
    const Hdf5Handle set(H5Dcreate2(parent, name.c_str(), variant_.doubles ? H5T_IEEE_F64BE : H5T_IEEE_F32LE,
                                    space.id(), links.id(), create.id(), H5P_DEFAULT),
                         H5Dclose);
    EXPECT_GE(H5Dwrite(set.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, weight.values.data()), 0) << name;
  }

  void Names(hid_t object, const std::string& name, const std::vector<std::string>& names) {
    const size_t step = variant_.names_a_list;
    if (step == 0 || names.size() <= step) return List(object, name, names);
    for (size_t begin = 0, part = 0; begin < names.size(); begin += step, ++part) {
      const auto end = names.begin() + static_cast<ptrdiff_t>(std::min(begin + step, names.size()));
      List(object, name + std::to_string(part), {names.begin() + static_cast<ptrdiff_t>(begin), end});
    }
  }

 private:
  void List(hid_t object, const std::string& name, const std::vector<std::string>& names) {
    const hsize_t count = names.size();
    const Hdf5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose), type(H5Tcopy(H5T_C_S1), H5Tclose);
    size_t width = 1;
    for (const std::string& one : names) width = std::max(width, one.size());
    H5Tset_size(type.id(), variant_.variable ? H5T_VARIABLE : width);
    if (variant_.variable) H5Tset_cset(type.id(), H5T_CSET_UTF8);
    H5Tset_strpad(type.id(), variant_.variable ? H5T_STR_NULLTERM : H5T_STR_NULLPAD);
    // An empty list is one of doubles, as NumPy makes it.
    const Hdf5Handle attribute(
        H5Acreate2(object, name.c_str(), count == 0 ? H5T_IEEE_F64LE : type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT),
        H5Aclose);
    EXPECT_TRUE(attribute.ok());
    if (count == 0) return;
    std::vector<const char*> pointers;
    std::string bytes;
    for (const std::string& one : names) {
      pointers.push_back(one.c_str());
      bytes += one + std::string(width - one.size(), '\0');
    }
    const void* const data = variant_.variable ? static_cast<const void*>(pointers.data()) : bytes.data();
    EXPECT_GE(H5Awrite(attribute.id(), type.id(), data), 0);
  }

  const Variant variant_;
  Hdf5Handle file_;
};

}  // namespace rb::test

#endif  // RB_TESTS_MODEL_KERAS_WRITER_H_
