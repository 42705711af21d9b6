#!/usr/bin/env bash
# Installs the web's packages by the lock file, without their scripts, and builds both apps;
# does nothing when neither the sources nor the lock file changed since the last build.
# Not `npm ci`: it refuses a lock file that leaves out the native packages of other systems.
set -euo pipefail
cd "$(dirname "$0")/../web"
if [ ! -e node_modules/.installed ] || [ package-lock.json -nt node_modules/.installed ]; then
  echo "Installing the web's packages (once)"
  npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel error
  touch node_modules/.installed
fi
stamp=node_modules/.built
if [ ! -e "$stamp" ] || [ -n "$(find apps packages package.json -newer "$stamp" -type f \
    -not -path '*/node_modules/*' -not -path '*/dist/*' -print -quit)" ]; then
  echo "Building the web"
  npm run --silent build
  touch "$stamp"
fi
