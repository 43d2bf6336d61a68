// Keras 2's HDF5 weight file of a model.
#include <hdf5.h>

#include <string>
#include <utility>
#include <vector>

#include "data/hdf5_image.h"
#include "data/text.h"
#include "engine/check.h"
#include "model/keras_file.h"

namespace rb {
namespace {

// The version whose layout this is, for load_weights' conversions.
constexpr char kKerasVersion[] = "2.4.0";

struct Weight {
  const char* name;
  std::vector<int64_t> shape;
  const float* values;
};
struct Layer {
  std::string name;
  std::vector<Weight> weights;
};

// Keras numbers layers of a kind from the second on.
std::string Numbered(const std::string& kind, int number) { return number == 0 ? kind : Concat(kind, "_", number); }

std::vector<Layer> LayersOf(const ModelFile& model) {
  const Shape& shape = model.config.shape;
  const ParameterTable table(shape);
  const auto weight = [&](const char* name, const std::string& tensor) {
    const TensorSpec& spec = table.at(tensor);
    return Weight{name, spec.shape, model.parameters.data() + spec.offset};
  };
  std::vector<Layer> layers;
  int norms = 0;
  const auto add_with_norm = [&](const std::string& name, const std::string& layer) {
    layers.push_back({name, {weight("kernel:0", layer + ".weight")}});
    layers.push_back(
        {Numbered("batch_normalization", norms++),
         {weight("gamma:0", layer + ".norm.gamma"), weight("beta:0", layer + ".norm.beta"),
          weight("moving_mean:0", layer + ".norm.mean"), weight("moving_variance:0", layer + ".norm.variance")}});
  };
  add_with_norm("conv1d", "embed");
  for (int i = 1; i <= shape.residual_layers; ++i) add_with_norm(Numbered("conv1d", i), Concat("conv", i));
  add_with_norm("dense", "dense");
  const float* const head = weight("kernel:0", "head.weight").values;
  layers.push_back({"dense_1", {{"kernel:0", {shape.hidden, 1}, head}, {"bias:0", {1}, head + shape.hidden}}});
  return layers;
}

absl::Status WriteNames(hid_t object, const char* name, const std::vector<std::string>& names) {
  const Hdf5FixedStrings strings(names);
  const hsize_t count = names.size();
  const Hdf5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Hdf5Handle attribute(H5Acreate2(object, name, strings.type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  if (attribute.ok() && H5Awrite(attribute.id(), strings.type.id(), strings.bytes.data()) >= 0) {
    return absl::OkStatus();
  }
  return Hdf5WriteFailed(name);
}

absl::Status WriteWord(hid_t object, const char* name, const std::string& word) {
  const Hdf5FixedStrings string({word});
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle attribute(H5Acreate2(object, name, string.type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  if (attribute.ok() && H5Awrite(attribute.id(), string.type.id(), string.bytes.data()) >= 0) return absl::OkStatus();
  return Hdf5WriteFailed(name);
}

// At /<layer>/<layer>/<weight>, as Keras does: a weight's own name holds its layer's.
absl::Status WriteLayer(hid_t file, const Layer& layer) {
  const Hdf5Handle outer(H5Gcreate2(file, layer.name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (!outer.ok()) return Hdf5WriteFailed(layer.name);
  const Hdf5Handle inner(H5Gcreate2(outer.id(), layer.name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (!inner.ok()) return Hdf5WriteFailed(layer.name);
  std::vector<std::string> names;
  for (const Weight& weight : layer.weights) {
    names.push_back(Concat(layer.name, "/", weight.name));
    const std::vector<hsize_t> dims(weight.shape.begin(), weight.shape.end());
    const Hdf5Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
    const Hdf5Handle properties = Hdf5DatasetProperties();
    const Hdf5Handle dataset(
        H5Dcreate2(inner.id(), weight.name, H5T_IEEE_F32LE, space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT),
        H5Dclose);
    if (!dataset.ok() || H5Dwrite(dataset.id(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, weight.values) < 0) {
      return Hdf5WriteFailed(names.back());
    }
  }
  return WriteNames(outer.id(), "weight_names", names);
}

}  // namespace

absl::StatusOr<std::string> KerasWeightsFile(const ModelFile& model) {
  const Hdf5Quiet quiet;
  const Hdf5Handle file = NewHdf5Image("weights.h5");
  if (!file.ok()) return Hdf5WriteFailed("creating the file image");
  std::vector<std::string> names;
  for (const Layer& layer : LayersOf(model)) {
    names.push_back(layer.name);
    RB_RETURN_IF_ERROR(WriteLayer(file.id(), layer));
  }
  RB_RETURN_IF_ERROR(WriteNames(file.id(), "layer_names", names));
  RB_RETURN_IF_ERROR(WriteWord(file.id(), "backend", "tensorflow"));
  RB_RETURN_IF_ERROR(WriteWord(file.id(), "keras_version", kKerasVersion));
  RB_ASSIGN_OR_RETURN(const std::string_view bytes, Hdf5ImageBytes(file.id()));
  return std::string(bytes);
}

}  // namespace rb
