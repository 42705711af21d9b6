#!/usr/bin/env bash
# Makes the virtual environment with uv of the given version in it, or says in a sentence what is
# missing on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "error: $1" >&2; exit 1; }
command -v python3 > /dev/null || fail "python3 is not installed; install Python 3.11 or newer."
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$(python3 --version) is too old; install Python 3.11 or newer."
echo "Making the virtual environment .venv with $(python3 --version)"
if [ ! -x .venv/bin/pip ]; then
  python3 -m venv .venv || {
    rm -rf .venv
    fail "python3 cannot make virtual environments; install its venv module (python3-venv on Debian and Ubuntu)."
  }
fi
.venv/bin/pip install --quiet --disable-pip-version-check "uv==$1"
