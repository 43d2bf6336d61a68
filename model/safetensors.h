// The safetensors container (https://huggingface.co/docs/safetensors): 8 bytes of header length, a JSON header, raw
// tensors. Model files and checkpoints are such files, so that any Python reader opens them.
//
// The metadata gains two entries: "checksum", the SHA-256 of the tensor data, and "header_checksum", the SHA-256 of the
// header's JSON (keys sorted, no blanks, without that entry). Reading verifies each when present, so files of other
// programs read as well; model files and checkpoints must carry both, so that a flipped bit anywhere is noticed.
#ifndef RB_MODEL_SAFETENSORS_H_
#define RB_MODEL_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rb {

inline constexpr char kChecksumKey[] = "checksum";
inline constexpr char kHeaderChecksumKey[] = "header_checksum";

struct NamedTensor {
  std::string name;
  std::string dtype;  // "F32", "F64", "I32", "U64", ...
  std::vector<int64_t> shape;
  std::string bytes;  // little endian, row-major
};

struct SafeTensors {
  std::map<std::string, std::string> metadata;
  std::vector<NamedTensor> tensors;  // in the order of their data

  // The tensor of that name, or null.
  const NamedTensor* Find(std::string_view name) const;
};

// Bytes of one element, 0 for a type the format does not have.
int64_t DtypeBytes(std::string_view dtype);

NamedTensor TensorF32(std::string name, std::vector<int64_t> shape, std::span<const float> values);
NamedTensor TensorF64(std::string name, std::vector<int64_t> shape, std::span<const double> values);
// The values of a tensor whose dtype is F32 (F64); empty otherwise.
std::vector<float> ValuesF32(const NamedTensor& tensor);
std::vector<double> ValuesF64(const NamedTensor& tensor);

// The file's bytes. InvalidArgument: a tensor whose bytes do not fit its shape, a name twice, text that is not UTF-8.
absl::StatusOr<std::string> SerializeSafeTensors(const SafeTensors& content);
// Strict: the data must be covered exactly, without gap or overlap; a header of more than 100 MB, unknown types, sizes
// that do not match and duplicate names are InvalidArgument. `name` (the file's) stands in messages.
absl::StatusOr<SafeTensors> ParseSafeTensors(std::string_view bytes, const std::string& name);

absl::Status WriteSafeTensors(const SafeTensors& content, const std::string& path);  // atomic
absl::StatusOr<SafeTensors> ReadSafeTensors(const std::string& path);

}  // namespace rb

#endif  // RB_MODEL_SAFETENSORS_H_
