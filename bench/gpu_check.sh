#!/usr/bin/env bash
# Everything that needs a GPU, in one command: is it right, how fast is it, and how fast are others? Works from the bundle
# (CMake target gpu_bundle) on a machine without a compiler, and from a checkout that was built. Needs: an NVIDIA driver for
# CUDA 13, cuBLAS; Python 3 for the report, with PyTorch for the stage peer; cuDNN for its rows. What is missing, fails or
# takes too long is recorded as such and costs nothing else.
#
# usage: gpu_check.sh [--stages probe,correct,kernels,peer,scale] [--out DIR] [--precision bf16,tf32,fp32]
#                     [--limit STAGE=SECONDS].. [--bin DIR] [--device N]
#        gpu_check.sh --stages real --data DIR [--precision bf16] [--out DIR]
#
#   probe    device, driver, clocks, memory; ceilings: copy bandwidth, bf16, tf32 and fp32 products      at most  30 s
#   correct  the tests with device kernels on the device; compute-sanitizer on their smallest cases                170 s
#   kernels  every operator, the training step and the scorer, beside copies, cuBLAS and cuDNN                      150 s
#   peer     ResidualBind in PyTorch: eager, CUDA graph, torch.compile                                              110 s
#   scale    1, 8, 40, 244 models side by side through the engine: training and scoring                              75 s
#   real     all experiments of a data folder to their early stop, log and clip transforms together; the first of
#            --precision only; a further call with the same --out goes on where the last was cut off                500 s
# The first five are the default and end within nine minutes. Results: DIR/result.json, written anew after every stage.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

stages=probe,correct,kernels,peer,scale
precisions=bf16,tf32,fp32
out="" data="" bin="" device=0
declare -A limit=([probe]=30 [correct]=170 [kernels]=150 [peer]=110 [scale]=75 [real]=500)

die() { printf 'gpu_check.sh: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  [ "$1" = -h ] || [ "$1" = --help ] && { sed -n '2,/^set -/p' "${BASH_SOURCE[0]}" | sed '$d;s/^# \{0,1\}//'; exit 0; }
  [ $# -ge 2 ] || die "$1 needs a value, or is no flag; see --help"
  case "$1" in
    --stages) stages=$2 ;;
    --precision) precisions=$2 ;;
    --out) out=$2 ;;
    --data) data=$2 ;;
    --bin) bin=$2 ;;
    --device) device=$2 ;;
    --limit) [[ "$2" =~ ^(probe|correct|kernels|peer|scale|real)=([0-9]+)$ ]] || die "--limit $2: expected STAGE=SECONDS"
             limit[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]} ;;
    *) die "unknown flag '$1'; see --help" ;;
  esac
  shift 2
done
for stage in ${stages//,/ }; do [ -n "${limit[$stage]:-}" ] || die "--stages: there is no stage '$stage'"; done
for precision in ${precisions//,/ }; do [[ "$precision" =~ ^(fp32|tf32|bf16)$ ]] || die "--precision: '$precision' is none"; done
[[ ",$stages," != *,real,* ]] || [ -d "$data" ] || die "--stages real needs --data with a folder of tables; '$data' is none"
[ -n "$bin" ] || { [ -d "$here/bin" ] && bin=$here/bin || bin=$here/../build/release/bin; }
[ -x "$bin/residualbind" ] || die "no binaries in $bin; give --bin, or build first"
bin=$(cd "$bin" && pwd)
out=${out:-$PWD/gpu_check-$(date +%Y%m%d-%H%M%S)}
mkdir -p "$out" || die "cannot make the folder $out"
out=$(cd "$out" && pwd)
# The device is number 0 for every program that is started from here.
export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-$device}

python=$(command -v python3 || true)
stamp() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(stamp)" 'BEGIN { printf "%.2f", b - a }'; }
quoted() { printf '%s' "$1" | tr '\n\t"\\' "   /" | cut -c 1-300; }
# note STAGE STEP STATUS SECONDS [REASON]: one line of JSON. STATUS: ok, failed, cut off, skipped.
note() {
  printf '{"stage": "%s", "step": "%s", "status": "%s", "seconds": %s, "reason": "%s"}\n' \
    "$1" "$2" "$3" "$4" "$(quoted "${5:-}")" >>"$out/steps.jsonl"
  printf '%-8s %-40s %s%s\n' "$1" "$2" "$3" "${5:+ ($(quoted "$5"))}"
}

# Folders where cuBLAS and cuDNN may lie outside the loader's own: the toolkit's, and those of Python packages.
library_folders() {
  ls -d /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib 2>/dev/null
  [ -n "$python" ] && "$python" -c 'import glob, site, sys
for place in {*site.getsitepackages(), *sys.path}:
    print("\n".join(glob.glob(place + "/nvidia/*/lib")))' 2>/dev/null
}
folders=$(library_folders | grep -v '^$' | sort -u | tr '\n' ':')
with_libraries() { LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folders" "$@"; }
missing_libraries() { with_libraries ldd "$1" 2>/dev/null | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' | sort -u | tr '\n' ' '; }

deadline=0
left() { local s=$((deadline - $(date +%s))); echo $((s > 0 ? s : 0)); }
# step STAGE NAME SECONDS COMMAND..: runs a command within SECONDS and what is left of its stage; output goes to
# DIR/STAGE/NAME.log. Returns the command's code.
step() {
  local stage=$1 name=$2 seconds=$3 log code start rest
  shift 3
  rest=$(left)
  [ "$seconds" -gt "$rest" ] && seconds=$rest
  if [ "$seconds" -lt 1 ]; then note "$stage" "$name" skipped 0 "the stage's time was used up"; return 1; fi
  log=$out/$stage/$name.log
  start=$(stamp)
  timeout --signal=TERM --kill-after=5 "$seconds" "$@" >"$log" 2>&1 </dev/null
  code=$?
  if [ $code -eq 124 ] || [ $code -eq 137 ]; then
    note "$stage" "$name" "cut off" "$(since "$start")" "after $seconds s"
  elif [ $code -ne 0 ]; then
    note "$stage" "$name" failed "$(since "$start")" "exit code $code: $(grep -v '^$' "$log" | tail -n 1)"
  else
    note "$stage" "$name" ok "$(since "$start")"
  fi
  return $code
}
# program STAGE NAME SECONDS BINARY ARGUMENTS..: a step with one of our binaries, or a skip that says what it lacks.
program() {
  local stage=$1 name=$2 seconds=$3 binary=$bin/$4 lacking
  shift 4
  if [ ! -x "$binary" ]; then note "$stage" "$name" skipped 0 "no ${binary##*/} in $bin"; return 1; fi
  lacking=$(missing_libraries "$binary")
  if [ -n "$lacking" ]; then note "$stage" "$name" skipped 0 "missing library: $lacking"; return 1; fi
  step "$stage" "$name" "$seconds" env LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folders" "$binary" "$@"
}

probe() {
  if command -v nvidia-smi >/dev/null; then
    step probe nvidia-smi 10 nvidia-smi --query-gpu=index,name,driver_version,memory.total,memory.used,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.draw,power.limit,temperature.gpu,ecc.mode.current,pcie.link.gen.current --format=csv
  else
    note probe nvidia-smi skipped 0 "not installed"
  fi
  step probe system 5 sh -c 'uname -sr; ldd --version | head -n 1; grep -m 1 "model name" /proc/cpuinfo; nproc; grep MemTotal /proc/meminfo'
  program probe doctor 10 residualbind doctor
  # No row's name is empty: only the context with the ceilings.
  program probe ceilings 25 device_bench --operator '^$' --json "$out/probe/ceilings.jsonl"
}

# The tests that run on a device.
device_tests() { cat "$bin/device_tests.txt" "$here/../tests/device_tests.txt" 2>/dev/null | sort -u; }
# A test binary wants the working folder from which relative paths of its data count.
one_test() { (cd "$here" && program correct "$1" 100 "$1" --gtest_brief=1 --gtest_output="json:$out/correct/$1.json"); }
sanitize() {
  local tool=$1 name=$2
  if [ -z "$(with_libraries "$bin/$name" --gtest_filter='*Tiny*' --gtest_list_tests 2>/dev/null)" ]; then
    note correct "$tool.$name" skipped 0 "no test named Tiny"
    return
  fi
  step correct "$tool.$name" 60 env LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folders" \
    "$sanitizer" --tool "$tool" --error-exitcode 86 "$bin/$name" --gtest_filter='*Tiny*' --gtest_brief=1
}
in_parallel() {  # in_parallel JOBS FUNCTION ARGUMENTS-A-CALL.. (each one word string, split at blanks)
  local jobs=$1 function=$2 call
  shift 2
  for call in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    # shellcheck disable=SC2086
    $function $call &
  done
  wait
}
correct() {
  local tests name tool calls=() cores
  local -x RB_TEST_DEVICE=1  # operators run on the device, not on its emulation
  cores=$(nproc 2>/dev/null || echo 2)
  tests=$(device_tests)
  [ -n "$tests" ] || { note correct tests skipped 0 "no test binaries with device code in $bin"; return; }
  # shellcheck disable=SC2086
  in_parallel $((cores > 8 ? 8 : cores)) one_test $tests
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)
  if [ -z "$sanitizer" ]; then
    for tool in memcheck racecheck synccheck; do note correct "$tool" skipped 0 "compute-sanitizer is not installed"; done
    return
  fi
  for tool in memcheck racecheck synccheck; do
    for name in $tests; do calls+=("$tool $name"); done
  done
  in_parallel $((cores > 4 ? 4 : cores)) sanitize "${calls[@]}"
}

kernels() {
  local precision
  for precision in ${precisions//,/ }; do
    program kernels "device.$precision" 38 device_bench --precision "$precision" --variant fused,plain,dx,dw,stream \
      --json "$out/kernels/device.$precision.jsonl"
  done
  program kernels cudnn 60 cudnn_bench --models 1,244 --precision "$precisions" --json "$out/kernels/cudnn.jsonl"
}

peer() {
  local script=$here/peer_pytorch.py rest
  [ -n "$python" ] || { note peer pytorch skipped 0 "python3 is not installed"; return; }
  "$python" -c 'import torch' 2>/dev/null || { note peer pytorch skipped 0 "PyTorch is not installed"; return; }
  rest=$(left)
  step peer pytorch "$rest" "$python" "$script" --out "$out/peer/pytorch.jsonl" --precision "$precisions" \
    --time-limit $((rest > 25 ? rest - 25 : 1))
}

scale() {
  local precision
  for precision in ${precisions//,/ }; do
    program scale "$precision" 40 residualbind bench --device cuda --precision "$precision" --models 1,8,40,244 \
      --seconds 1 --overwrite --out "$out/scale/$precision.json"
  done
}

# log and clip train side by side: one job where the binary takes both transforms, else two processes on one device.
real() {
  local precision=${precisions%%,*} transform calls=()
  [ "$precision" = "$precisions" ] || note real precisions skipped 0 "one precision a call: this one takes $precision"
  for transform in log clip; do calls+=("$precision $transform"); done
  in_parallel 2 train_real "${calls[@]}"
}
train_real() {
  local precision=$1 transform=$2
  program real "$precision.$transform" "$(left)" residualbind train --data "$data" --experiment all --device cuda \
    --precision "$precision" --transform "$transform" --out "$out/real/$precision/$transform" --resume --progress json
}

report() { [ -z "$python" ] || "$python" "$here/gpu_report.py" "$out" "$@"; }

# Why no stage can run, or nothing. Only a machine without a usable device fails with these words; other failures are
# for the stages to find.
without_device() {
  "$bin/residualbind" bench --device cuda --models 1 --task train --batch 10 --sequences 100 --seconds 0.001 2>&1 >/dev/null |
    sed -n 's/^residualbind bench: --device cuda: \(.*\); expected.*/\1/p'
}

printf 'results go to %s\n' "$out"
no_device=$(timeout 60 bash -c "$(declare -f without_device); bin='$bin' without_device")
begin=$(date +%s)
for stage in ${stages//,/ }; do
  mkdir -p "$out/$stage"
  deadline=$(($(date +%s) + limit[$stage]))
  start=$(stamp)
  if [ -n "$no_device" ]; then
    note "$stage" "" skipped 0 "no device: $no_device"
  else
    $stage
    note "$stage" "" "done" "$(since "$start")"
  fi
  report --quiet
done
printf 'all stages: %d s\n' $(($(date +%s) - begin))
[ -n "$python" ] || { echo "python3 is not installed: no report; the stages' own files are in $out"; exit 0; }
report
