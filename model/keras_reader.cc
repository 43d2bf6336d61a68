// Keras' HDF5 weight files: layers and weights in their order.
#include <hdf5.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "data/hdf5_file.h"
#include "data/text.h"
#include "engine/check.h"
#include "model/keras_file.h"

namespace rb {
namespace {

constexpr int64_t kMaxValues = int64_t{1} << 26;  // of all weights together, 256 MiB
constexpr char kExpected[] = "a file by Keras' save_weights or save";

bool HasLink(hid_t parent, const char* name) { return H5Lexists(parent, name, H5P_DEFAULT) > 0; }
bool HasAttribute(hid_t object, const std::string& name) { return H5Aexists(object, name.c_str()) > 0; }

class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<std::vector<KerasLayer>> Read() {
    const Hdf5Handle file(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (!file.ok()) {
      return absl::InvalidArgumentError(Concat(path_, ": found ", Hdf5Reason(), "; expected ", kExpected));
    }
    absl::Status status;
    if (const char* root = ListedRoot(file.id())) {
      status = ReadListed(file.id(), root);
    } else if (HasLink(file.id(), "layers")) {
      status = ReadNumbered(file.id());
    } else {
      status =
          absl::InvalidArgumentError(Concat(path_, ": found no list of layers (layer_names); expected ", kExpected));
    }
    if (!status.ok()) return status;
    return std::move(layers_);
  }

 private:
  static bool HasList(hid_t object, const std::string& name) {
    return HasAttribute(object, name) || HasAttribute(object, name + "0");
  }

  // The group whose attribute lists the layers; null when there is none.
  static const char* ListedRoot(hid_t file) {
    for (const char* root : {"/", "model_weights"}) {
      if (root[0] != '/' && !HasLink(file, root)) continue;
      const Hdf5Handle group(H5Gopen2(file, root, H5P_DEFAULT), H5Gclose);
      if (group.ok() && HasList(group.id(), "layer_names")) return root;
    }
    return nullptr;
  }

  // Opened once, so that a link cannot lead elsewhere the second time.
  absl::StatusOr<Hdf5Handle> OpenGroup(hid_t parent, const std::string& name, const std::string& where) const {
    Hdf5Handle group(H5Gopen2(parent, name.c_str(), H5P_DEFAULT), H5Gclose);
    if (group.ok()) return group;
    return absl::InvalidArgumentError(Concat(where, ": found ", Hdf5Reason(), "; expected a group of this name"));
  }

  static absl::StatusOr<std::vector<std::string>> ReadList(hid_t object, const std::string& name,
                                                           const std::string& where) {
    if (HasAttribute(object, name)) return ReadHdf5StringAttribute(object, name, Concat(where, " attribute ", name));
    std::vector<std::string> all;
    for (int i = 0; HasAttribute(object, Concat(name, i)); ++i) {
      const std::string part = Concat(name, i);
      RB_ASSIGN_OR_RETURN(const std::vector<std::string> more,
                          ReadHdf5StringAttribute(object, part, Concat(where, " attribute ", part)));
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }

  absl::Status ReadListed(hid_t file, const std::string& root) {
    const std::string prefix = root == "/" ? path_ + ":/" : Concat(path_, ":/", root, "/");
    RB_ASSIGN_OR_RETURN(const Hdf5Handle group, OpenGroup(file, root, prefix));
    RB_ASSIGN_OR_RETURN(const std::vector<std::string> names, ReadList(group.id(), "layer_names", prefix));
    for (const std::string& name : names) {
      KerasLayer layer{Concat(prefix, absl::CHexEscape(name)), {}};
      RB_ASSIGN_OR_RETURN(const Hdf5Handle one, OpenGroup(group.id(), name, layer.where));
      if (!HasList(one.id(), "weight_names")) {
        H5G_info_t info;
        if (H5Gget_info(one.id(), &info) >= 0 && info.nlinks == 0) continue;
        return absl::InvalidArgumentError(
            Concat(layer.where, ": found no attribute weight_names; expected the layer's list of weights"));
      }
      RB_ASSIGN_OR_RETURN(const std::vector<std::string> weights, ReadList(one.id(), "weight_names", layer.where));
      RB_RETURN_IF_ERROR(ReadLayer(one.id(), weights, std::move(layer)));
    }
    return absl::OkStatus();
  }

  // "conv1d_10" comes behind "conv1d_9", and "conv1d" is the first.
  static std::pair<std::string, int64_t> StemAndNumber(const std::string& name) {
    const size_t digits = name.find_last_not_of("0123456789") + 1;
    int64_t number = 0;
    if (digits == 0 || digits == name.size() || name[digits - 1] != '_') return {name, 0};
    std::from_chars(name.data() + digits, name.data() + name.size(), number);
    return {name.substr(0, digits - 1), number};
  }

  absl::Status ReadNumbered(hid_t file) {
    const std::string prefix = path_ + ":/layers/";
    RB_ASSIGN_OR_RETURN(const Hdf5Handle group, OpenGroup(file, "layers", prefix));
    std::vector<std::string> names;
    const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
      static_cast<std::vector<std::string>*>(out)->emplace_back(name);
      return 0;
    };
    if (H5Literate(group.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names) < 0) {
      return absl::InvalidArgumentError(Concat(prefix, ": found ", Hdf5Reason(), "; expected a group of layers"));
    }
    std::sort(names.begin(), names.end(),
              [](const std::string& a, const std::string& b) { return StemAndNumber(a) < StemAndNumber(b); });
    for (const std::string& name : names) {
      KerasLayer layer{Concat(prefix, absl::CHexEscape(name)), {}};
      RB_ASSIGN_OR_RETURN(const Hdf5Handle one, OpenGroup(group.id(), name, layer.where));
      std::vector<std::string> weights;
      if (HasLink(one.id(), "vars")) {
        while (HasLink(one.id(), Concat("vars/", weights.size()).c_str())) {
          weights.push_back(Concat("vars/", weights.size()));
        }
      }
      RB_RETURN_IF_ERROR(ReadLayer(one.id(), weights, std::move(layer)));
    }
    return absl::OkStatus();
  }

  absl::Status ReadLayer(hid_t group, const std::vector<std::string>& names, KerasLayer layer) {
    for (const std::string& name : names) {
      RB_ASSIGN_OR_RETURN(KerasTensor tensor,
                          ReadTensor(group, name, Concat(layer.where, "/", absl::CHexEscape(name))));
      layer.weights.push_back(std::move(tensor));
    }
    if (!layer.weights.empty()) layers_.push_back(std::move(layer));
    return absl::OkStatus();
  }

  absl::StatusOr<KerasTensor> ReadTensor(hid_t group, const std::string& name, const std::string& where) {
    RB_ASSIGN_OR_RETURN(const Hdf5Array array, Hdf5Array::Open(group, name, where, Hdf5Array::kAnyRank));
    KerasTensor tensor{name, where, array.shape(), {}};
    int64_t size = 1;
    for (const int64_t extent : tensor.shape) {
      size = extent > 0 && size > kMaxValues / extent ? kMaxValues + 1 : size * extent;
    }
    if (size < 1 || size > kMaxValues - values_) {
      return absl::InvalidArgumentError(
          Concat(where, ": found ", size < 1 ? "no" : "too many", " values; expected 1 to ", kMaxValues, " in a file"));
    }
    if (!array.stored()) {
      return absl::InvalidArgumentError(
          Concat(where, ": found room for ", size,
                 " values that were not all written; expected a file that was written to its end"));
    }
    values_ += size;
    tensor.values.resize(static_cast<size_t>(size));
    RB_RETURN_IF_ERROR(array.ReadRows(0, tensor.shape[0], tensor.values.data()));
    const auto bad =
        std::find_if(tensor.values.begin(), tensor.values.end(), [](float v) { return !std::isfinite(v); });
    if (bad == tensor.values.end()) return tensor;
    return absl::InvalidArgumentError(
        Concat(where, ": found ", *bad, " as value ", bad - tensor.values.begin(), "; expected finite numbers"));
  }

  const std::string path_;
  std::vector<KerasLayer> layers_;
  int64_t values_ = 0;
};

// What Keras 3 saves as .keras.
bool LooksLikeZip(const std::string& path) {
  char head[4] = {};
  std::ifstream(path, std::ios::binary).read(head, sizeof head);
  return std::memcmp(head, "PK\x03\x04", sizeof head) == 0;
}

}  // namespace

absl::StatusOr<std::vector<KerasLayer>> ReadKerasWeights(const std::string& path) {
  const Hdf5Quiet quiet;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return absl::NotFoundError(Concat(path, ": no such file"));
  if (LooksLikeZip(path)) {
    return absl::InvalidArgumentError(Concat(path, ": is a .keras archive, not an HDF5 file; expected ", kExpected,
                                             ": model.save_weights(\"NAME.weights.h5\") writes one"));
  }
  if (!LooksLikeHdf5(path)) {
    return absl::InvalidArgumentError(Concat(path, ": is not an HDF5 file; expected ", kExpected));
  }
  return Reader(path).Read();
}

}  // namespace rb
