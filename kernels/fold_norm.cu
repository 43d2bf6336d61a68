// Folding batch norm on the device (kernels/fold_norm.h): the CPU's operations one by one, so the same bits.
//
// Mapping: block (part of a model, live model). For each layer a thread takes four output channels, works out their
// scales once and walks the weights' rows with the stride of all threads of the model. Reads and writes every weight
// once: 1.5 MB a model, 361 MB for 244 models (85 us at 4.3 TB/s), once a validation. Limit: memory; the square roots
// and quotients in double, 4 a thread and layer, stay below it because a model has 2048 threads only.
#include "kernels/fold_norm.h"

#include "kernels/device/dialect.h"

namespace rb {
namespace {

constexpr int kThreads = 256, kBlocks = 8;  // blocks of a model

struct FourChannels {
  double scale[4];
  float4 bias;
};

// Every operation rounded by itself: a product fused with the subtraction would differ from the CPU's.
__device__ FourChannels FoldChannels(const FoldNormLayer& layer, double epsilon, const float* parameters, int channel) {
  FourChannels out;
  float bias[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int o = channel + i;
    out.scale[i] = parameters[layer.gamma + o] / sqrt(static_cast<double>(parameters[layer.variance + o]) + epsilon);
    const double shift = __dmul_rn(static_cast<double>(parameters[layer.mean + o]), out.scale[i]);
    bias[i] = static_cast<float>(parameters[layer.beta + o] - shift);
  }
  out.bias = make_float4(bias[0], bias[1], bias[2], bias[3]);
  return out;
}

__device__ void FoldLayer(const FoldNormLayer& layer, double epsilon, const float* parameters, float* folded,
                          int thread, int threads) {
  const float* w = parameters + layer.weight;
  float* to = folded + layer.folded_weight;
  if (layer.channels == 0) {
    for (int64_t i = thread; i < layer.weights; i += threads) to[i] = w[i];
    return;
  }
  // Threads as a matrix of rows by four channels, or, with more channels than threads, several times over.
  const int quads = layer.channels / 4, across = quads < threads ? quads : threads, down = threads / across;
  const int row = thread / across;
  if (row >= down) return;
  for (int quad = thread % across; quad < quads; quad += across) {
    const FourChannels fold = FoldChannels(layer, epsilon, parameters, 4 * quad);
    if (row == 0) *reinterpret_cast<float4*>(folded + layer.folded_bias + 4 * quad) = fold.bias;
    const int64_t step = static_cast<int64_t>(down) * layer.channels;
#pragma unroll 4
    for (int64_t at = static_cast<int64_t>(row) * layer.channels + 4 * quad; at < layer.weights; at += step) {
      const float4 v = *reinterpret_cast<const float4*>(w + at);
      *reinterpret_cast<float4*>(to + at) =
          make_float4(static_cast<float>(v.x * fold.scale[0]), static_cast<float>(v.y * fold.scale[1]),
                      static_cast<float>(v.z * fold.scale[2]), static_cast<float>(v.w * fold.scale[3]));
    }
  }
}

__global__ void __launch_bounds__(kThreads) FoldNormKernel(FoldNormArgs<float> a) {
  DependencyWait();
  const int slot = a.live[blockIdx.y];
  const int thread = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  for (int i = 0; i < a.num_layers; ++i) {
    FoldLayer(a.layers[i], static_cast<double>(a.epsilon), a.parameters[slot], a.folded[slot], thread,
              kBlocks * kThreads);
  }
}

}  // namespace

namespace RB_MACHINE {

DeviceError FoldNorm(const FoldNormArgs<float>& args, const DeviceRun& run) {
  if (args.count == 0) return {};
  LaunchConfig config;
  config.grid = dim3(kBlocks, static_cast<unsigned>(args.count));
  config.block = dim3(kThreads);
  config.stream = run.stream;
  return Launch(config, FoldNormKernel, args);
}

}  // namespace RB_MACHINE
}  // namespace rb
