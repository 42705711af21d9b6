#!/usr/bin/env bash
# The web's own checks: types, lint, unused code, catalogues of both languages, bundle sizes.
set -euo pipefail
cd "$(dirname "$0")/../web"
npm run --silent check
