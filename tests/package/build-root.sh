#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Clean Debian 12 roots with nothing of ours, for the package's tests: made once a host, kept beside the guests. Prints the
# folder that holds root/. Needs root and mmdebstrap.
#
#   tests/package/build-root.sh            python3 and no more
#   tests/package/build-root.sh libvirt    also libvirt and QEMU, as on a host that runs machines
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/guest/lib.sh
. "$here/../guest/lib.sh"
# shellcheck source=packaging/lib.sh
. "$here/../../packaging/lib.sh"

included=python3
kind=package-root
if [ "${1:-}" = libvirt ]; then
    kind=libvirt-root
    # With what the package recommends for its modules: dpkg alone installs no recommendation.
    included=python3,libisofs6,libcurl4,$(packages_for libvirt | paste -sd,)
fi

# A private mount namespace: nothing that packages' scripts mount or change reaches the host.
make_root() {
    unshare --mount mmdebstrap --mode=root --variant=minbase --include="$included" --quiet bookworm "$1/root" 9>&- ||
        fail "mmdebstrap failed"
}

[ "$(id -u)" -eq 0 ] || fail "making the clean root needs root"
cached_guest "$kind" "$(recipe_digest "minbase $included" "$here/../guest/lib.sh" "${BASH_SOURCE[0]}")" make_root
