#!/usr/bin/env bash
# docs/cli.md is what the program says of itself. usage: cli_page.sh BINARY
set -u
cd "$(dirname "$0")/../.." || exit 1
if diff <("$1" manual markdown) docs/cli.md >/tmp/cli_page.$$; then
  echo "comparisons: $(wc -l <docs/cli.md)"
  rm -f /tmp/cli_page.$$
else
  head -20 /tmp/cli_page.$$
  rm -f /tmp/cli_page.$$
  echo "docs/cli.md differs from the program's help; run: build/release/bin/residualbind manual markdown > docs/cli.md"
  exit 1
fi
