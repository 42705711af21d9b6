#!/usr/bin/env bash
# Builds the wheels of the SDK and the protocol and imports the SDK where nothing else is installed:
# what it needs but does not name fails here rather than at a user's.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$PWD/.venv/bin/uv
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for package in ai-orchestra-protocol ai-orchestra-sdk; do
  "$uv" build -q --wheel --package "$package" --out-dir "$tmp/wheels"
done
"$uv" venv -q --python .venv/bin/python "$tmp/venv"
"$uv" pip install -q --python "$tmp/venv/bin/python" "$tmp"/wheels/*.whl
cd "$tmp"
"$tmp/venv/bin/python" -W error -c 'import orchestra_sdk; print("imported from", orchestra_sdk.__file__)'
