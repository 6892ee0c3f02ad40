#!/usr/bin/env bash
# The peer: Orthanc and its DICOMweb plugin out of Debian 13's packages, in a chroot. Needs root.
#   orthanc.sh install ROOT       make the chroot, once a machine (debootstrap; some minutes)
#   orthanc.sh version ROOT       what is in it
#   orthanc.sh run ROOT DATA      run in the foreground; DATA is its /mnt, with orthanc.json in it
# The mounts are in a mount namespace of that process alone: they end with it.
set -euo pipefail
packages=orthanc,orthanc-dicomweb
usage() { sed -n 2,6p "$0" >&2; exit 2; }

[ $# -ge 2 ] || usage
root=$2
case "$1" in
install)
    [ -x "$root/usr/sbin/Orthanc" ] && exit 0
    [ "$(id -u)" -eq 0 ] || { echo "installing the peer needs root (debootstrap makes a chroot)" >&2; exit 1; }
    command -v debootstrap > /dev/null || { apt-get update -qq; apt-get install -y --no-install-recommends debootstrap; }
    mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/*.sources 2> /dev/null || true)
    [ -n "$mirror" ] || mirror=$(awk '/^deb / {print $2; exit}' /etc/apt/sources.list 2> /dev/null || true)
    mkdir -p "$root"
    debootstrap --variant=minbase --include=$packages --no-check-gpg trixie "$root" \
        "${mirror:-http://deb.debian.org/debian}"
    ;;
version)
    chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' orthanc orthanc-dicomweb |
        sed -E 's/ ([0-9.]+).*/ \1/; s/^orthanc /Orthanc /; s/^orthanc-dicomweb /DICOMweb /' | paste -sd, | sed 's/,/, /'
    ;;
run)
    [ $# -eq 3 ] || usage
    # shellcheck disable=SC2016 # the inner shell expands them
    exec unshare --mount --propagation private -- sh -c '
        mount --rbind /proc "$1/proc" && mount --bind "$2" "$1/mnt" && exec chroot "$1" /usr/sbin/Orthanc /mnt/orthanc.json
    ' sh "$root" "$3"
    ;;
*) usage ;;
esac
