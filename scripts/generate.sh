#!/usr/bin/env bash
# Writes everything that is generated and committed; `--check` only compares and names what drifted.
#   gRPC stubs    from proto/            into packages/protocol
#   openapi.json  from the api's routes  into docs
#   the web's types  from openapi.json   into web/packages/api
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
stubs=packages/protocol/src/orchestra_protocol
openapi=docs/openapi.json
types=web/packages/api/src/openapi.ts
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

mkdir "$tmp/stubs"
OUT="$tmp/stubs" bash scripts/generate_stubs.sh 2> "$tmp/log" || { cat "$tmp/log"; exit 1; }
python -c 'import sys; from orchestra.processes import api; sys.stdout.write(api.describe())' > "$tmp/openapi.json"
(cd web && npx --no-install openapi-typescript "$tmp/openapi.json" --output "$tmp/openapi.ts") > "$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }

if [ "${1:-}" != --check ]; then
  cp "$tmp"/stubs/* "$stubs/"
  cp "$tmp/openapi.json" "$openapi"
  cp "$tmp/openapi.ts" "$types"
  exit
fi

drifted=0
compare() {
  cmp -s "$1" "$2" && return
  echo "$2 is not what it is generated from says now"
  drifted=1
}
for file in "$tmp"/stubs/*; do compare "$file" "$stubs/$(basename "$file")"; done
compare "$tmp/openapi.json" "$openapi"
compare "$tmp/openapi.ts" "$types"
exit "$drifted"
