#!/usr/bin/env bash
# Sees to the Debian packages that the tests against real programs need. Quick when all are there.
set -euo pipefail

packages=(chromium php-cli php-cgi php-xml dokuwiki nginx-light redis-server libnss3-tools prometheus curl openssl testssl.sh openssh-server openssh-client nut-server nut-client ceph-mon ceph-osd ceph-common radosgw postgresql)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Missing packages; run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
