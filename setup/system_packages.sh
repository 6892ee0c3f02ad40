#!/usr/bin/env bash
# Install the programs that the tests use as clients and neighbours, through apt when this user may.
# What stays missing is named, and is no failure: the tests concerned are skipped with the same reason.
set -euo pipefail
here=$(dirname "$0")
PATH=$PATH:/usr/sbin

postgresql_is_there() { compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null || command -v initdb > /dev/null; }

# Each line of the table: what must be there, the Debian package.
missing() {
    command -v storescu > /dev/null || echo dcmtk
    command -v gdcmscu > /dev/null || echo libgdcm-tools
    command -v dciodvfy > /dev/null || echo dicom3tools
    command -v chromium > /dev/null || echo chromium
    postgresql_is_there || echo postgresql
    command -v nginx > /dev/null || echo nginx-light
    command -v npm > /dev/null || echo npm
    command -v curl > /dev/null || echo curl
    command -v unzip > /dev/null || echo unzip
    command -v openssl > /dev/null || echo openssl
    command -v fiu-run > /dev/null || echo fiu-utils
    command -v faketime > /dev/null || echo faketime
    command -v mkfs.ext4 > /dev/null || echo e2fsprogs
    command -v mount > /dev/null || echo mount
    command -v rsyslogd > /dev/null || echo rsyslog
    compgen -G '/usr/lib/*/rsyslog/lmnsd_gtls.so' > /dev/null || echo rsyslog-gnutls
    [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || echo fonts-dejavu-core
}

mapfile -t packages < <(missing)
if [ "${#packages[@]}" -eq 0 ]; then
    exit 0
fi
echo "Installing for the tests: ${packages[*]} …"
if ! "$here/apt.sh" "${packages[@]}"; then
    # One package that this distribution lacks must not cost the others.
    for package in "${packages[@]}"; do
        "$here/apt.sh" "$package" || true
    done
fi
mapfile -t packages < <(missing)
if [ "${#packages[@]}" -gt 0 ]; then
    echo "Missing, so tests will be skipped: ${packages[*]} (sudo apt install ${packages[*]})" >&2
fi
