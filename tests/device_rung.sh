#!/usr/bin/env bash
# The operator tests on a real CUDA device, in place of its emulation. usage: tests/device_rung.sh FOLDER_OF_TESTS
# Exit code 77 (a skip) where there is none.
set -u
folder=$1
if "$folder/residualbind" doctor | grep -q 'work runs on the CPU'; then
  echo "no CUDA device: the operator tests ran on the emulation only"
  exit 77
fi
failed=0
for name in dialect gather embed_conv dilated_conv_device batch_norm residual_pool dense head fold_norm adam metrics \
  model_slot scorer_device dense_cublas; do
  echo "== ${name}_test on the device"
  RB_TEST_DEVICE=1 "$folder/${name}_test" || failed=$((failed + 1))
done
exit $((failed > 0))
