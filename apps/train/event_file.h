// TensorBoard's event files: records of (length, masked CRC-32C of it, event, masked CRC-32C of the event), events in
// protocol buffers (https://github.com/tensorflow/tensorboard: tensorboard/compat/proto/event.proto, summary.proto;
// tensorboard/summary/writer/record_writer.py).
#ifndef RB_APPS_TRAIN_EVENT_FILE_H_
#define RB_APPS_TRAIN_EVENT_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace rb::apps {

// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), and as records have it: rotated and shifted, so that a
// checksum of data with checksums in them is not a trivial one.
uint32_t Crc32c(std::string_view bytes);
uint32_t MaskedCrc32c(std::string_view bytes);

// An event file with one event a step, of steps 1, 2, .. The file is opened for each call, so that thousands may be
// kept; it holds whole records only, whatever fails.
class EventFile {
 public:
  using Scalars = std::vector<std::pair<std::string, double>>;  // by tag; stored as float

  explicit EventFile(std::string path) : path_(std::move(path)) {}

  // Makes the file hold no steps after `steps`: what follows them, or is damaged, goes. Without a file, or with one
  // that does not begin as this program's do, it begins anew at `seconds` (wall time since 1970).
  absl::Status Begin(int steps, double seconds);
  // Steps that Begin and Append left in it.
  int steps() const { return steps_; }
  // The next step's values. Unavailable or ResourceExhausted naming the file.
  absl::Status Append(double seconds, const Scalars& scalars);

 private:
  std::string path_;
  int steps_ = 0;
};

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_EVENT_FILE_H_
