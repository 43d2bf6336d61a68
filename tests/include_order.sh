#!/usr/bin/env bash
# The house's one rule: a room includes only itself and the rooms before it (docs/architecture.md).
set -u
cd "$(dirname "$0")/.." || exit 1
rooms=(kernels engine data model gia apps)
checked=0
bad=0
allowed=""
for room in "${rooms[@]}"; do
  allowed="$allowed|$room"
  # data reads and writes files only: of the rooms before it, it may use nothing of engine.
  permitted="${allowed#|}"
  [ "$room" = data ] && permitted="kernels|data"
  while IFS=: read -r file line text; do
    checked=$((checked + 1))
    target=$(sed -E 's/.*"([^"/]+)\/.*/\1/' <<<"$text")
    if ! [[ "$target" =~ ^($permitted)$ ]]; then
      echo "$file:$line: $room may not include from $target ($text)"
      bad=$((bad + 1))
    fi
  done < <(grep -rnE '^#include "(kernels|engine|data|model|gia|apps|tests|bench)/' "$room" --include='*.h' --include='*.cc' --include='*.cu' --include='*.cuh')
done
echo "include order: $checked includes checked, $bad wrong"
[ "$checked" -gt 0 ] && [ "$bad" -eq 0 ]
