#!/usr/bin/env bash
# Compiler launcher for CUDA sources: runs the command and moves what ptxas -v said of the kernels' resources from the
# terminal to <object>.ptxas, where tests/kernel_budget.py reads it. All other messages stay on stderr.
object=""
for ((i = 1; i < $#; ++i)); do
  [ "${!i}" = -o ] && { next=$((i + 1)); object=${!next}; }
done
[[ "$object" == *.o ]] || exec "$@"
report=$object.ptxas
"$@" 2>"$report.tmp"
code=$?
grep -vE '^ptxas info +: (Compiling|Function properties|Used|Compile time|[0-9]+ bytes gmem|Overriding)|^ +[0-9]+ bytes stack frame' "$report.tmp" >&2
mv "$report.tmp" "$report"
exit $code
