#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing.
#
#   demo/parts/packages.sh redis-server prometheus
#
# As root, or through a sudo that asks for no password. Ends with 3 if it may not, and its last line says
# what to type. What Debian starts at once with its package is stopped again: the demo and the tests start
# their own, at the same ports.
set -eu

missing=()
for package in "$@"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "packages.sh: there is no apt-get here; install what Debian has as: ${missing[*]}" >&2
  exit 3
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  as_root=(sudo -n)
  if ! "${as_root[@]}" true 2>/dev/null; then
    echo "packages.sh: needs root, or a sudo without a password; type: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 3
  fi
fi

echo "==> Debian packages: ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -q -y --no-install-recommends "${missing[@]}"

[ -d /run/systemd/system ] || exit 0
for package in "${missing[@]}"; do
  if systemctl cat "$package" >/dev/null 2>&1; then
    echo "==> $package is installed, and not started: systemctl enable --now $package would"
    "${as_root[@]}" systemctl disable --now "$package"
  fi
done
