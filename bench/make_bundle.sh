#!/usr/bin/env bash
# Builds the bundle with which a machine that has a GPU but no compiler and no network runs gpu_check.sh: tests with device
# kernels, benchmarks and residualbind for sm_90a, and the shared libraries they need except the driver's, cuBLAS, cuDNN
# and the C and C++ runtime. CMake target gpu_bundle calls it.
#
# usage: make_bundle.sh BUILD_FOLDER    -> BUILD_FOLDER/gpu_bundle.tar.xz (under 30 MB, or it fails)
set -euo pipefail
[ $# -eq 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1"
build=$(cd "$1" && pwd)
bundle=$build/gpu_bundle

# Old-style RPATH: it also holds for the libraries that carried libraries need.
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DRB_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=90a \
  -DRB_TESTS=ON -DRB_BENCH=ON -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON '-DCMAKE_INSTALL_RPATH=$ORIGIN/../lib' \
  -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags
cmake --build "$build" -j "$(nproc)"

rm -rf "$bundle"
mkdir -p "$bundle/bin" "$bundle/lib"
cp "$source"/bench/{gpu_check.sh,gpu_report.py,peer_pytorch.py} "$source/LICENSE" "$bundle/"
{ git -C "$source" rev-parse --short HEAD 2>/dev/null || echo unknown; } | tr -d '\n' >"$bundle/COMMIT"
[ -z "$(git -C "$source" status --porcelain --untracked-files=no 2>/dev/null)" ] || printf -- '-dirty' >>"$bundle/COMMIT"
for name in $(cat "$source/tests/device_tests.txt") residualbind device_bench; do
  cp "$build/bin/$name" "$bundle/bin/" || { echo "make_bundle.sh: $name was not built" >&2; exit 1; }
done
[ ! -x "$build/bin/cudnn_bench" ] || cp "$build/bin/cudnn_bench" "$bundle/bin/"
cp "$source/tests/device_tests.txt" "$bundle/bin/"

# What the target machine has: C and C++ runtime, driver, cuBLAS, cuDNN.
there='^(linux-vdso|ld-linux|lib(c|m|dl|rt|pthread|resolv|util|stdc\+\+|gcc_s|gomp|cuda|nvidia[^.]*|cublas|cublasLt|cudnn[^.]*)\.so)'
mapfile -t binaries < <(find "$bundle/bin" -type f -perm -u+x)
# Paths are looked up on this machine, where the bundle's lib is still empty.
ldd "${binaries[@]}" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u | while read -r name path; do
  [[ "$name" =~ $there ]] || cp -L "$path" "$bundle/lib/$name"
done
strip --strip-unneeded "$bundle"/lib/*
strip "${binaries[@]}"

# Every library must now be found in the bundle or be one that the target machine has.
wrong=$(env -i PATH="$PATH" ldd "${binaries[@]}" | awk -v lib="$bundle/" \
  '$2 == "=>" && index($3, lib) != 1 { print $1 }' | sort -u | grep -vE "$there" || true)
[ -z "$wrong" ] || { echo "make_bundle.sh: not carried: $wrong" >&2; exit 1; }
# The newest symbols asked of the target's runtime.
{
  echo "needs of the machine's own libraries:"
  for prefix in GLIBC_ GLIBCXX_ CXXABI_; do
    objdump -T "${binaries[@]}" "$bundle"/lib/* | grep -oE "\b$prefix[0-9.]+" | sort -uV | tail -n 1
  done
  (cd "$bundle" && find bin lib -type f -printf '%10s %p\n' | sort -k 2)
} >"$bundle/CONTENTS"

# Every binary carries the same kernels: a dictionary larger than one of them stores these once.
tar -C "$build" -cf - gpu_bundle | xz -6 --lzma2=preset=6,dict=128MiB >"$build/gpu_bundle.tar.xz.tmp"
mv "$build/gpu_bundle.tar.xz.tmp" "$build/gpu_bundle.tar.xz"
size=$(stat -c %s "$build/gpu_bundle.tar.xz")
echo "$build/gpu_bundle.tar.xz: $size bytes"
[ "$size" -lt 30000000 ] || { echo "make_bundle.sh: the bundle is over 30 MB" >&2; exit 1; }
