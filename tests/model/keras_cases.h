// What the tests of Keras' weight files share.
#ifndef RB_TESTS_MODEL_KERAS_CASES_H_
#define RB_TESTS_MODEL_KERAS_CASES_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/keras_config.h"
#include "model/keras_file.h"
#include "model/keras_import.h"
#include "tests/model/naive_network.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb::test {

inline ModelFile RandomModel(Preset preset, int structure, int length, bool small = false) {
  ModelFile model;
  model.config = PresetConfig(preset);
  Shape& shape = model.config.shape;
  shape.structure = structure;
  shape.length = length;
  if (small) shape.filters = shape.hidden = 32;
  model.experiment = "EXP1";
  if (structure > 0) model.structure_source = kGivenProfiles;
  model.parameters = RandomParameters(shape, static_cast<uint64_t>(structure + length));
  return model;
}

inline absl::StatusOr<ModelFile> Import(const std::string& path, KerasChoices choices = {}) {
  const auto layers = ReadKerasWeights(path);
  if (!layers.ok()) return layers.status();
  const absl::Status described = ReadKerasConfig(path, choices);
  if (!described.ok()) return described;
  return ModelFromKeras(*layers, choices, path);
}

inline std::vector<float> Values(const ModelFile& model, const std::string& tensor) {
  const ParameterTable table(model.config.shape);
  const TensorSpec& spec = table.at(tensor);
  return {model.parameters.begin() + spec.offset, model.parameters.begin() + spec.offset + spec.size};
}

inline void ExpectSameNetwork(const absl::StatusOr<ModelFile>& found, const ModelFile& expected,
                              const std::string& what) {
  ASSERT_TRUE(found.ok()) << what << ": " << found.status();
  ExpectEqual(found->config.shape == expected.config.shape, true, what);
  ExpectEqual(PresetName(found->config.preset), PresetName(expected.config.preset), what);
  ASSERT_EQ(found->config.shape, expected.config.shape) << what;
  const ParameterTable table(expected.config.shape);
  for (const TensorSpec& spec : table.tensors()) {
    const std::vector<float> a = Values(*found, spec.name), b = Values(expected, spec.name);
    ExpectSameBits<float>(a, b, what + " " + spec.name);
  }
}

inline void ExpectRefusal(const std::string& path, const KerasChoices& choices,
                          const std::vector<std::string>& fragments) {
  const auto found = Import(path, choices);
  ExpectEqual(found.ok(), false, fragments.back());
  const std::string message(found.status().message());
  EXPECT_THAT(message, ::testing::HasSubstr(path));
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  for (const std::string& fragment : fragments) EXPECT_THAT(message, ::testing::HasSubstr(fragment));
  CountComparisons(static_cast<int64_t>(fragments.size()));
}

}  // namespace rb::test

#endif  // RB_TESTS_MODEL_KERAS_CASES_H_
