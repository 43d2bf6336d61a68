#include "model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/sha256.h"
#include "data/writers.h"
#include "engine/check.h"

namespace rb {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors are little endian and are copied as they are");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr char kMetadataKey[] = "__metadata__";

struct Dtype {
  const char* name;
  int64_t bytes;
};
constexpr Dtype kDtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2},    {"I64", 8},
                             {"I32", 4}, {"I16", 2}, {"I8", 1},   {"U64", 8},     {"U32", 4},
                             {"U16", 2}, {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

// Text of others made fit for a one-line message.
std::string Shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 60)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return "'" + out + "'";
}

absl::Status Fault(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", what));
}

// Bytes that a tensor of this type and shape takes, or -1 when that is undefined or beyond 2^62.
int64_t TensorBytes(std::string_view dtype, const std::vector<int64_t>& shape) {
  int64_t bytes = DtypeBytes(dtype);
  if (bytes == 0) return -1;
  for (const int64_t extent : shape) {
    if (extent < 0) return -1;
    if (extent != 0 && bytes > (int64_t{1} << 62) / extent) return -1;
    bytes *= extent;
  }
  return bytes;
}

// nlohmann keeps the last of two equal keys and nests without limit; the format has neither.
class HeaderGuard {
 public:
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > 3) too_deep_ = true;
    if (too_deep_) return false;
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end) keys_.pop_back();
    if (event == Json::parse_event_t::key && !keys_.back().insert(parsed.get_ref<const std::string&>()).second) {
      duplicate_ = true;
    }
    return true;
  }
  bool ok() const { return !too_deep_ && !duplicate_; }

 private:
  std::vector<std::set<std::string>> keys_;
  bool too_deep_ = false, duplicate_ = false;
};

// The JSON that header_checksum covers.
std::string Canonical(Json header) {
  if (header.contains(kMetadataKey)) header[kMetadataKey].erase(kHeaderChecksumKey);
  return header.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool IsIndex(const Json& value) {
  return value.is_number_unsigned() &&
         value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
}

absl::Status ParseMetadata(const Json& json, const std::string& name, std::map<std::string, std::string>* metadata) {
  if (!json.is_object()) return Fault(name, "__metadata__ is no object of texts");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) return Fault(name, absl::StrCat("metadata ", Shown(key), " is no text"));
    (*metadata)[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

struct Entry {
  NamedTensor tensor;
  int64_t begin = 0, end = 0;
};

absl::Status ParseEntry(const std::string& key, const Json& json, const std::string& name, Entry* entry) {
  const auto fault = [&](const char* what) { return Fault(name, absl::StrCat("tensor ", Shown(key), ": ", what)); };
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    return fault("expected exactly dtype, shape and data_offsets");
  }
  const Json &dtype = json["dtype"], &shape = json["shape"], &offsets = json["data_offsets"];
  if (!dtype.is_string()) return fault("dtype is no text");
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), IsIndex)) return fault("shape is no list of sizes");
  if (!offsets.is_array() || offsets.size() != 2 || !std::all_of(offsets.begin(), offsets.end(), IsIndex)) {
    return fault("data_offsets are no two positions");
  }
  entry->tensor.name = key;
  entry->tensor.dtype = dtype.get<std::string>();
  entry->tensor.shape = shape.get<std::vector<int64_t>>();
  entry->begin = offsets[0].get<int64_t>();
  entry->end = offsets[1].get<int64_t>();
  if (DtypeBytes(entry->tensor.dtype) == 0) return fault("unknown dtype");
  if (entry->end < entry->begin) return fault("data_offsets run backwards");
  if (TensorBytes(entry->tensor.dtype, entry->tensor.shape) != entry->end - entry->begin) {
    return fault("its bytes do not fit its dtype and shape");
  }
  return absl::OkStatus();
}

// Cuts `data` among the entries, which must cover it exactly.
absl::Status CutData(std::vector<Entry>& entries, std::string_view data, const std::string& name) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t at = 0;
  for (Entry& e : entries) {
    if (e.begin != at)
      return Fault(name, absl::StrCat("tensor ", Shown(e.tensor.name), ": gap or overlap in the data"));
    at = e.end;
  }
  if (at != static_cast<int64_t>(data.size())) {
    return Fault(name, absl::StrCat("the tensors take ", at, " bytes but the file has ", data.size(),
                                    " (truncated or not a safetensors file)"));
  }
  for (Entry& e : entries) e.tensor.bytes = std::string(data.substr(e.begin, e.end - e.begin));
  return absl::OkStatus();
}

absl::Status VerifyChecksums(const SafeTensors& content, const Json& header, std::string_view data,
                             const std::string& name) {
  const auto stated = content.metadata.find(kHeaderChecksumKey);
  if (stated != content.metadata.end() && stated->second != Sha256Hex(Canonical(header))) {
    return Fault(name, "the header's checksum does not match; the file is damaged");
  }
  const auto data_stated = content.metadata.find(kChecksumKey);
  if (data_stated != content.metadata.end() && data_stated->second != Sha256Hex(data)) {
    return Fault(name, "the data's checksum does not match; the file is damaged");
  }
  return absl::OkStatus();
}

NamedTensor TensorOf(std::string name, const char* dtype, std::vector<int64_t> shape, const void* values,
                     size_t bytes) {
  NamedTensor tensor;
  tensor.name = std::move(name);
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.bytes.assign(static_cast<const char*>(values), bytes);
  return tensor;
}

template <class T>
std::vector<T> ValuesOf(const NamedTensor& tensor, const char* dtype) {
  std::vector<T> values;
  if (tensor.dtype != dtype) return values;
  values.resize(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), values.size() * sizeof(T));
  return values;
}

// The header's JSON without padding, and the order-preserving concatenation of the data.
absl::StatusOr<Json> BuildHeader(const SafeTensors& content, const std::string& data) {
  Json header = Json::object();
  int64_t at = 0;
  for (const NamedTensor& t : content.tensors) {
    const int64_t bytes = static_cast<int64_t>(t.bytes.size());
    if (TensorBytes(t.dtype, t.shape) != bytes) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", Shown(t.name), ": bytes do not fit dtype and shape"));
    }
    if (t.name == kMetadataKey || header.contains(t.name)) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", Shown(t.name), ": the name is taken"));
    }
    header[t.name] = {{"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  header[kMetadataKey] = content.metadata;
  header[kMetadataKey][kChecksumKey] = Sha256Hex(data);
  header[kMetadataKey].erase(kHeaderChecksumKey);
  return header;
}

}  // namespace

const NamedTensor* SafeTensors::Find(std::string_view name) const {
  const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
  return at == tensors.end() ? nullptr : &*at;
}

int64_t DtypeBytes(std::string_view dtype) {
  for (const Dtype& d : kDtypes) {
    if (dtype == d.name) return d.bytes;
  }
  return 0;
}

NamedTensor TensorF32(std::string name, std::vector<int64_t> shape, std::span<const float> values) {
  return TensorOf(std::move(name), "F32", std::move(shape), values.data(), values.size_bytes());
}
NamedTensor TensorF64(std::string name, std::vector<int64_t> shape, std::span<const double> values) {
  return TensorOf(std::move(name), "F64", std::move(shape), values.data(), values.size_bytes());
}
std::vector<float> ValuesF32(const NamedTensor& tensor) { return ValuesOf<float>(tensor, "F32"); }
std::vector<double> ValuesF64(const NamedTensor& tensor) { return ValuesOf<double>(tensor, "F64"); }

absl::StatusOr<std::string> SerializeSafeTensors(const SafeTensors& content) {
  std::string data;
  size_t bytes = 0;
  for (const NamedTensor& t : content.tensors) bytes += t.bytes.size();
  data.reserve(bytes);
  for (const NamedTensor& t : content.tensors) data += t.bytes;
  RB_ASSIGN_OR_RETURN(Json header, BuildHeader(content, data));
  std::string text;
  try {  // nlohmann throws on text that is not UTF-8
    header[kMetadataKey][kHeaderChecksumKey] = Sha256Hex(header.dump());
    text = header.dump();
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError("a tensor name or metadata is not UTF-8 text");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) return absl::InvalidArgumentError("safetensors header of more than 100 MB");
  const uint64_t length = text.size();
  std::string out(sizeof(length), '\0');
  std::memcpy(out.data(), &length, sizeof(length));
  out.reserve(out.size() + text.size() + data.size());
  out += text;
  out += data;
  return out;
}

absl::StatusOr<SafeTensors> ParseSafeTensors(std::string_view bytes, const std::string& name) {
  uint64_t length = 0;
  if (bytes.size() < sizeof(length)) return Fault(name, "too short for a safetensors file");
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > kMaxHeaderBytes) return Fault(name, "not a safetensors file (its header would exceed 100 MB)");
  if (length > bytes.size() - sizeof(length)) return Fault(name, "truncated inside the header, or no safetensors file");
  const std::string_view text = bytes.substr(sizeof(length), length);
  const std::string_view data = bytes.substr(sizeof(length) + length);
  HeaderGuard guard;
  const Json header = Json::parse(text.begin(), text.end(), std::ref(guard), /*allow_exceptions=*/false);
  if (header.is_discarded() || !guard.ok() || !header.is_object()) {
    return Fault(name, "the header is not the JSON object of a safetensors file");
  }
  SafeTensors content;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key == kMetadataKey) {
      RB_RETURN_IF_ERROR(ParseMetadata(value, name, &content.metadata));
    } else {
      RB_RETURN_IF_ERROR(ParseEntry(key, value, name, &entries.emplace_back()));
    }
  }
  RB_RETURN_IF_ERROR(CutData(entries, data, name));
  RB_RETURN_IF_ERROR(VerifyChecksums(content, header, data, name));
  for (Entry& e : entries) content.tensors.push_back(std::move(e.tensor));
  return content;
}

absl::Status WriteSafeTensors(const SafeTensors& content, const std::string& path) {
  const absl::StatusOr<std::string> bytes = SerializeSafeTensors(content);
  if (!bytes.ok()) return absl::Status(bytes.status().code(), absl::StrCat(path, ": ", bytes.status().message()));
  return WriteFile(path, *bytes);
}

absl::StatusOr<SafeTensors> ReadSafeTensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened; expected a safetensors file"));
  const std::streamoff size = file.tellg();
  // A folder opens but has no sensible size.
  if (size < 0 || size > (std::streamoff{1} << 46)) return Fault(path, "is not a regular file");
  std::string bytes(static_cast<size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(bytes.data(), size)) return absl::DataLossError(absl::StrCat(path, ": reading failed"));
  return ParseSafeTensors(bytes, path);
}

}  // namespace rb
