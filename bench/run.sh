#!/usr/bin/env bash
# Runs every benchmark binary and writes bench/results/<date>-<machine>-<commit>.json (one object: context and rows).
# usage: bench/run.sh BUILD_FOLDER [extra benchmark flags]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
shift
machine=$(lscpu 2>/dev/null | sed -n 's/^Model name: *//p' | head -n 1 | tr -cs 'A-Za-z0-9' '-' | sed 's/-$//')
commit=$(git -C "$here" rev-parse --short HEAD)
[ -z "$(git -C "$here" status --porcelain --untracked-files=no)" ] || commit=$commit-dirty
out="$here/results/$(date +%F)-${machine:-unknown}-$commit.json"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in training_bench operators_bench scorer_bench fold_bench; do
  echo "bench: $name" >&2
  "$build/bin/$name" --benchmark_out="$work/$name.json" --benchmark_out_format=json --benchmark_repetitions=5 \
    --benchmark_report_aggregates_only=true --benchmark_min_time=0.5 "$@" >&2
done
python3 "$here/collect.py" "$out" "$commit" "$work"/*.json
echo "$out"
