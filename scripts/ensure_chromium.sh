#!/usr/bin/env bash
# The end-to-end tests drive the distribution's Chromium; this installs it where it is missing.
set -euo pipefail
[ -x /usr/bin/chromium ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium > /dev/null
  exit 0
fi
echo "The end-to-end tests need /usr/bin/chromium. Install it: sudo apt-get install -y chromium" >&2
exit 1
