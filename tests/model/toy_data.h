// A small made-up data set and run for tests of model/: random probes whose score counts a motif, models of 32 filters.
#ifndef RB_TESTS_MODEL_TOY_DATA_H_
#define RB_TESTS_MODEL_TOY_DATA_H_

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/split.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "model/trainer.h"

namespace rb::test {

inline Shape ToyShape(int length = 20, int structure = 0) {
  Shape s;
  s.length = length;
  s.structure = structure;
  s.filters = 32;
  s.first_width = 5;
  s.hidden = 32;
  s.pool = 5;
  return s;
}

inline TrainConfig ToyConfig(int length = 20, int structure = 0) {
  TrainConfig config;
  config.shape = ToyShape(length, structure);
  config.batch = 32;
  config.seed = 7;
  config.schedule.max_epochs = 4;
  return config;
}

// Experiment e scores 1 + (number of its motif's dinucleotides) + noise, all positive; fraction missing grows with e.
// With `labels` the score is 1 when the motif occurs, else 0. The first 4/5 of the probes are set A.
inline Dataset ToyDataset(int probes, int experiments, int length = 20, int structure = 0, bool labels = false) {
  Dataset d;
  d.sequences.length = length;
  d.sequences.structure_channels = structure;
  d.sequences.bases.resize(static_cast<size_t>(probes) * PackedWords(length));
  std::vector<std::vector<uint8_t>> codes(static_cast<size_t>(probes), std::vector<uint8_t>(length, kUnknownBase));
  PhiloxStream random(12345);
  for (int i = 0; i < probes; ++i) {
    const int width = length - static_cast<int>(random.Below(4)), left = (length - width) / 2;
    for (int p = left; p < left + width; ++p) codes[i][p] = static_cast<uint8_t>(random.Below(4));
    PackBases(codes[i].data(), length, d.sequences.bases.data() + static_cast<size_t>(i) * PackedWords(length));
    d.sequences.widths.push_back(static_cast<uint16_t>(width));
    d.folds.push_back(i < probes * 4 / 5 ? Fold::kA : Fold::kB);
    for (int p = 0; p < length * structure; ++p) d.sequences.tracks.push_back(static_cast<float>(random.Uniform()));
  }
  for (int e = 0; e < experiments; ++e) {
    d.experiments.push_back("EXP" + std::to_string(e + 1));
    const uint8_t first = static_cast<uint8_t>(e % 4), second = static_cast<uint8_t>((e + 2) % 4);
    for (int i = 0; i < probes; ++i) {
      int sites = 0;
      for (int p = 0; p + 1 < length; ++p) sites += codes[i][p] == first && codes[i][p + 1] == second;
      const double noise = random.Uniform() * 0.2;
      const bool missing = random.Uniform() < 0.02 + 0.1 * e;
      const float score = labels ? (sites > 1 ? 1.0f : 0.0f) : static_cast<float>(1 + sites + noise);
      d.targets.push_back(missing ? std::numeric_limits<float>::quiet_NaN() : score);
    }
  }
  return d;
}

// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("rb_model_test_" + std::to_string(getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::string path(const std::string& name = "") const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace rb::test

#endif  // RB_TESTS_MODEL_TOY_DATA_H_
