// Every operator of a training step on a CUDA device, whole steps and the scorer, over all models at once, beside plain
// copies of the same bytes (`/copy`) and cuBLAS (`/cublas`). device_bench --help names the flags.
#include "bench/device_runner.h"

int main(int argc, char** argv) { return rb::bench::RunDeviceBench(argc, argv, rb::bench::DeviceRows); }
