#!/usr/bin/env bash
# Writes everything that is generated and committed; `--check` only compares and names what drifted.
#   gRPC stubs      from proto/            into packages/protocol
#   openapi.json    from the api's routes  into web/packages/api, beside the client made from it
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

generated=(
  packages/protocol/src/orchestra_protocol
)

if [ "${1:-}" != --check ]; then
  bash scripts/generate_stubs.sh
  exit
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
drifted=0
mkdir -p "$tmp/stubs"
OUT="$tmp/stubs" bash scripts/generate_stubs.sh
for file in "$tmp"/stubs/*; do
  committed="${generated[0]}/$(basename "$file")"
  if ! cmp -s "$file" "$committed"; then
    echo "$committed differs from what proto/ says"
    drifted=1
  fi
done
exit "$drifted"
