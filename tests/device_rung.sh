#!/usr/bin/env bash
# The tests of device_tests.txt on a real CUDA device, in place of its emulation. usage: tests/device_rung.sh FOLDER_OF_TESTS
# Exit code 77 (a skip) where there is none.
set -u
folder=$1
if "$folder/residualbind" doctor | grep -q 'work runs on the CPU'; then
  echo "no CUDA device: the operator tests ran on the emulation only"
  exit 77
fi
failed=0
while read -r name; do
  echo "== $name on the device"
  RB_TEST_DEVICE=1 "$folder/$name" || failed=$((failed + 1))
done <"$(dirname "${BASH_SOURCE[0]}")/device_tests.txt"
exit $((failed > 0))
