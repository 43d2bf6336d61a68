#!/usr/bin/env bash
# Counts what the CUDA kernels ask of memory, on the emulated device: bench/results/<date>-kernel-counts-<commit>.json.
# Needs no GPU; some minutes of one core. usage: bench/run_counts.sh BUILD_FOLDER [flags of kernel_counts]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
shift
commit=$(git -C "$here" rev-parse --short HEAD)
[ -z "$(git -C "$here" status --porcelain --untracked-files=no)" ] || commit=$commit-dirty
cmake --build "$build" --target kernel_counts >&2
out="$here/results/$(date +%F)-kernel-counts-$commit.json"
"$build/bin/kernel_counts" --json "$out" --commit "$commit" "$@"
echo "$out"
