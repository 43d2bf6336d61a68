// What the tests of data/ share: a folder of their own, compression, a Parallel of real threads, the real data.
#ifndef RB_TESTS_DATA_DATA_TEST_SUPPORT_H_
#define RB_TESTS_DATA_DATA_TEST_SUPPORT_H_

#include <gtest/gtest.h>
#include <lzma.h>
#include <zlib.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "kernels/parallel.h"
#include "tests/support/comparisons.h"

namespace rb::test {

// A new folder that disappears with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::random_device random;
    path_ = std::filesystem::temp_directory_path() / ("rb_data_test_" + std::to_string(random()));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string string() const { return path_.string(); }
  // Names of the entries, for checks that nothing was left behind.
  std::vector<std::string> Entries() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string Write(const std::string& name, std::string_view content) const {
    const std::string path = *this / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

 private:
  std::filesystem::path path_;
};

inline std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

inline std::string Gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string Xz(std::string_view text) {
  std::string out(lzma_stream_buffer_bound(text.size()), '\0');
  size_t used = 0;
  EXPECT_EQ(lzma_easy_buffer_encode(3, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const uint8_t*>(text.data()),
                                    text.size(), reinterpret_cast<uint8_t*>(out.data()), &used, out.size()),
            LZMA_OK);
  out.resize(used);
  return out;
}

// Threads made for every Run: slow, simple, and visible to a thread sanitizer.
class ThreadParallel : public Parallel {
 public:
  explicit ThreadParallel(int threads) : scratch_(static_cast<size_t>(threads)) {}
  int num_threads() const override { return static_cast<int>(scratch_.size()); }
  void Run(int64_t tasks, TaskRef f) override {
    std::atomic<int64_t> next{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < num_threads(); ++t) {
      threads.emplace_back([&, t] {
        for (int64_t i = next++; i < tasks; i = next++) f(i, t);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  void* Scratch(int thread, size_t bytes) override {
    scratch_[thread].reset(static_cast<char*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)));
    return scratch_[thread].get();
  }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::vector<std::unique_ptr<char, Free>> scratch_;
};

// The folder of real measurements: $RB_SHARED_DATA, or ../shared/data beside the source folder. Empty when absent.
inline std::string SharedData() {
  if (const char* set = std::getenv("RB_SHARED_DATA"); set != nullptr && *set != '\0') {
    return std::filesystem::exists(set) ? set : "";
  }
  return std::filesystem::exists("../shared/data") ? "../shared/data" : "";
}

// `status` is this error and its message holds every one of `parts`; counted.
inline void ExpectError(const absl::Status& status, absl::StatusCode code, const std::vector<std::string>& parts) {
  ExpectEqual(static_cast<int>(status.code()), static_cast<int>(code), status.ToString());
  const std::string message(status.message());
  for (const std::string& part : parts) {
    CountComparisons();
    EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
  }
  CountComparisons();
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

// The same of a StatusOr.
template <class T>
void ExpectError(const T& result, absl::StatusCode code, const std::vector<std::string>& parts) {
  ExpectError(result.status(), code, parts);
}

}  // namespace rb::test

#endif  // RB_TESTS_DATA_DATA_TEST_SUPPORT_H_
