// Protocol buffers' wire format, writing only (https://protobuf.dev/programming-guides/encoding): enough for the ONNX
// models and TensorBoard events that this program writes, so that it needs no protobuf itself.
#ifndef RB_MODEL_PROTOBUF_WRITER_H_
#define RB_MODEL_PROTOBUF_WRITER_H_

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace rb {

// One message. Fields are written in the order of the calls; a field of several values is one call each. Messages
// within are made first and then put in, which copies them: a model's tensors are copied as often as they lie deep.
class ProtobufMessage {
 public:
  // int64, int32, uint64, bool and enum fields; negative numbers take ten bytes, as they do for protobuf.
  void Int(int field, int64_t value) {
    Key(field, kVarint);
    Varint(static_cast<uint64_t>(value));
  }
  void Float(int field, float value) {
    Key(field, kFixed32);
    Fixed(std::bit_cast<uint32_t>(value));
  }
  void Double(int field, double value) {
    Key(field, kFixed64);
    Fixed(std::bit_cast<uint64_t>(value));
  }
  // string and bytes fields
  void Bytes(int field, std::string_view value) {
    Key(field, kLengthDelimited);
    Varint(value.size());
    bytes_.append(value);
  }
  void Message(int field, const ProtobufMessage& value) { Bytes(field, value.bytes_); }

  const std::string& bytes() const { return bytes_; }

 private:
  enum Wire { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

  void Key(int field, Wire wire) { Varint(static_cast<uint64_t>(field) << 3 | wire); }

  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  // Little endian on any host.
  template <class T>
  void Fixed(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
  }

  std::string bytes_;
};

}  // namespace rb

#endif  // RB_MODEL_PROTOBUF_WRITER_H_
