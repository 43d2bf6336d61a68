// kernels/dilated_conv.h on the device: every precision, every way in which weights and tiles find room, against plain
// loops.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/dilated_conv.h"
#include "kernels/emulated/emulator.h"
#include "tests/kernels/dilated_conv_case.h"

namespace rb::test {
namespace {

using namespace conv;  // NOLINT

// Exact in whole numbers; random in fp32; random values that bf16 holds where operands are rounded.
template <template <class...> class Case, class... Types>
void CheckOn(const TestMachine& machine, const ModelSet& models, const ConvCase& shape) {
  SCOPED_TRACE(machine.name());
  for (const Fill fill : {Fill::kInteger, machine.precision() == Precision::kFp32 ? Fill::kRandom : Fill::kRounded}) {
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : "random");
    ConvCase here = shape;
    if (fill != Fill::kInteger && here.rate > 0) here.rate = 0.2f;
    Case<Types...> c(models, here, fill);
    RunAndCheck(c, machine);
  }
}

template <template <class...> class Case>
void CheckPrecisions(const ModelSet& models, const ConvCase& shape, unsigned seed = 0) {
  SCOPED_TRACE(NameOf(shape));
  CheckOn<Case, float>(TestMachine::Emulated(Precision::kFp32, seed), models, shape);
  CheckOn<Case, float>(TestMachine::Emulated(Precision::kTf32, seed), models, shape);
  CheckOn<Case, float, BFloat16>(TestMachine::Emulated(Precision::kBf16, seed), models, shape);
}

// Tiles of 32, 64 and 96 channels, one or more of them on either side; few and many sequences to a tile; taps that are
// partly or wholly padding; more taps than one block of the weight gradient has; a sequence longer than a tile.
std::vector<ConvCase> Shapes() {
  return {{16, 32, 32, 1, 1},  {16, 32, 64, 3, 1},   {20, 64, 32, 3, 2},  {41, 96, 96, 3, 4},
          {41, 32, 128, 5, 1}, {64, 32, 32, 7, 2},   {100, 32, 32, 3, 8}, {20, 32, 96, 3, 24},
          {41, 64, 64, 3, 2},  {150, 32, 32, 3, 40}, {300, 32, 32, 5, 90}};
}

TEST(DilatedConvOnDevice, TinyForward) {
  for (unsigned seed = 0; seed < 3; ++seed) CheckPrecisions<Forward>(OneModel(3), {.length = 16}, seed);
}

TEST(DilatedConvOnDevice, TinyBackward) {
  for (unsigned seed = 0; seed < 3; ++seed) {
    CheckPrecisions<Backward>(OneModel(3), {.length = 16}, seed);
    CheckPrecisions<Backward>(OneModel(3), {.length = 16, .out = 64}, seed);
  }
}

TEST(DilatedConvOnDevice, ForwardEqualsPlainLoops) {
  for (ConvCase shape : Shapes()) {
    CheckPrecisions<Forward>(shape.length * shape.in * shape.out > 200000 ? OneModel(3) : ThreeModels(), shape);
    shape.rate = kNoPrologue;
    shape.norm = false;
    CheckPrecisions<Forward>(OneModel(3), shape);
  }
}

TEST(DilatedConvOnDevice, BackwardEqualsPlainLoops) {
  for (const ConvCase& shape : Shapes()) {
    CheckPrecisions<Backward>(shape.length * shape.in * shape.out > 200000 ? OneModel(3) : ThreeModels(), shape);
  }
}

TEST(DilatedConvOnDevice, EveryNumberOfRows) {
  for (const int rows : {1, 7, 8, 9, 50}) {
    CheckPrecisions<Forward>(OneModel(rows), {.length = 16, .width = 3, .dilation = 2});
    CheckPrecisions<Backward>(OneModel(rows), {.length = 16, .width = 3, .dilation = 2});
  }
  CheckPrecisions<Forward>(IdleModel(), {.length = 20, .rate = 0});
  CheckPrecisions<Backward>(IdleModel(), {.length = 16, .rate = 0});
}

TEST(DilatedConvOnDevice, PlainVariants) {
  for (const float rate : {0.5f, kNoPrologue}) {
    for (const bool norm : {false, true}) {
      CheckPrecisions<Backward>(OneModel(9), {.length = 20, .rate = rate, .norm = norm});
      CheckPrecisions<Backward>(OneModel(9), {.length = 20, .rate = rate, .norm = norm, .dw = false});
      CheckPrecisions<Backward>(OneModel(9), {.length = 20, .out = 64, .rate = rate, .norm = norm, .dx = false});
      CheckPrecisions<Backward>(ThreeModels(), {.length = 20, .rate = rate, .norm = norm, .alias = true});
    }
  }
}

TEST(DilatedConvOnDevice, PooledGradients) {
  for (const int pool : {4, 7}) {
    for (const bool norm : {false, true}) {
      CheckPrecisions<Backward>(OneModel(9), {.norm = norm, .pool = pool});
      CheckPrecisions<Backward>(OneModel(9), {.norm = norm, .skip = pool});
    }
    CheckPrecisions<Backward>(OneModel(9), {.in = 64, .rate = kNoPrologue, .pool = pool, .skip = pool});
  }
}

TEST(DilatedConvOnDevice, PaperShapeInPlace) {
  const ConvCase shape = {.in = 96, .out = 96, .dilation = 4, .alias = true};
  CheckPrecisions<Forward>(OneModel(26), shape);
  CheckPrecisions<Backward>(OneModel(26), shape);
  for (const Precision precision : {Precision::kFp32, Precision::kTf32, Precision::kBf16}) {
    ExpectEqual(emu::DilatedConvInPlace(shape.geometry(100), precision), true);
    ExpectEqual(emu::DilatedConvInPlace({41, 128, 128, 3, 1, 100}, precision), false);
    ExpectEqual(emu::DilatedConvInPlace({512, 96, 96, 3, 1, 100}, precision), precision == Precision::kBf16);
  }
}

// Less shared memory: weights by taps through two places or one, no copies ahead, smaller tiles.
class SharedMemoryOf {
 public:
  explicit SharedMemoryOf(int bytes) : before_(emu::options().shared_memory) { emu::options().shared_memory = bytes; }
  ~SharedMemoryOf() { emu::options().shared_memory = before_; }

 private:
  int before_;
};

TEST(DilatedConvOnDevice, EveryPlanForSharedMemory) {
  for (const int kilobytes : {163, 136, 99, 64}) {
    SCOPED_TRACE(kilobytes);
    const SharedMemoryOf limit(kilobytes << 10);
    CheckPrecisions<Forward>(OneModel(5), {.in = 96, .out = 96, .dilation = 2});
    CheckPrecisions<Backward>(OneModel(5), {.in = 96, .out = 96, .dilation = 2});
    CheckPrecisions<Backward>(OneModel(5), {.length = 20, .in = 32, .out = 64, .width = 5});
  }
}

TEST(DilatedConvOnDevice, SameBitsInAnyCompany) {
  for (const ConvCase& shape : {ConvCase{.in = 32, .out = 32, .dilation = 2, .rate = 0.2f, .pool = 7, .skip = 7},
                                ConvCase{.length = 20, .in = 64, .out = 96, .rate = 0.2f}}) {
    for (const Precision precision : {Precision::kFp32, Precision::kTf32}) {
      ExpectSameOnDevice<Forward<float>>(ThreeModels(), precision, shape, Fill::kRandom);
      ExpectSameOnDevice<Backward<float>>(ThreeModels(), precision, shape, Fill::kRandom);
    }
    ExpectSameOnDevice<Forward<float, BFloat16>>(ThreeModels(), Precision::kBf16, shape, Fill::kRandom);
    ExpectSameOnDevice<Backward<float, BFloat16>>(ThreeModels(), Precision::kBf16, shape, Fill::kRandom);
  }
}

TEST(DilatedConvOnDevice, RefusesWhatDoesNotExist) {
  const DilatedConvForwardArgs<float> forward;
  const DilatedConvBackwardArgs<float, BFloat16> backward;
  ExpectEqual(emu::DilatedConvForward(forward, {.precision = Precision::kBf16}).code, -1);
  ExpectEqual(emu::DilatedConvBackward(backward, {.precision = Precision::kTf32}).code, -1);
  const StepState state = {.rows = 1};
  const int32_t live = 0;
  BFloat16 memory = BFloat16(0.0f);
  DilatedConvBackwardArgs<float, BFloat16> wide = {.models = {&state, &live, 1}, .geometry = {41, 128, 128, 3, 1, 1}};
  wide.dz = {&memory, 0};
  wide.dx = {&memory, 0};
  ExpectEqual(emu::DilatedConvBackward(wide, {.precision = Precision::kBf16}).code, -1);
}

}  // namespace
}  // namespace rb::test
