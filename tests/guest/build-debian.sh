#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The Debian guest: the template that `build-template --source packages` makes from this machine's own package sources,
# with one template package of ours in it. The system suite shows on it what a guest does.
#
# Prints the folder that holds template.qcow2, its manifest template.json and guest.env (the shell assignment
# GUEST_TEMPLATE) as stdout's last line. Needs root, the built program (BLOCKHOST_BUILD, else build/ of this tree) and
# the packages of purpose "template" in packaging/lib.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
# shellcheck source=tests/guest/lib.sh
. "$here/lib.sh"

program=${BLOCKHOST_BUILD:-$tree/build}/blockhost-libvirt

# A stand-in for what an engine brings: it installs a file and needs a package that the template has anyway.
make_template_package() {
    local folder=$1 work=$1/.work
    mkdir -p "$work/DEBIAN" "$work/usr/share/blockhost-stand-in"
    printf '%s\n' 'Package: blockhost-stand-in' 'Version: 1.5' 'Architecture: all' 'Depends: openssh-server' \
        'Maintainer: BlockHost tests <tests@blockhost.invalid>' 'Description: stands in for a template package' \
        >"$work/DEBIAN/control"
    echo 'from the stand-in' >"$work/usr/share/blockhost-stand-in/here"
    dpkg-deb --root-owner-group --build "$work" "$folder/blockhost-stand-in_1.5_all.deb" >/dev/null
    rm -rf "$work"
}

build() {
    local folder=$1 final=$2 root=$1/work image
    mkdir -p "$root/var/lib/blockhost/template-packages"
    make_template_package "$root/var/lib/blockhost/template-packages"
    BLOCKHOST_ROOT=$root "$program" build-template --source packages 9>&- || fail "build-template failed"
    image=$(readlink -f "$root/var/lib/blockhost/templates/blockhost-base.qcow2")
    mv "$image" "$folder/template.qcow2"
    mv "${image%.qcow2}.json" "$folder/template.json"
    printf 'GUEST_TEMPLATE=%s/template.qcow2\n' "$final" >"$folder/guest.env"
    rm -rf "$root"
}

[ "$(id -u)" -eq 0 ] || fail "making the Debian guest needs root"
[ -x "$program" ] || fail "there is no $program; build it first"
kernel=$(kernel_candidate) || fail "apt knows no linux-image-cloud-amd64; run apt-get update first"
digest=$(recipe_digest "$kernel" "$here/lib.sh" "${BASH_SOURCE[0]}" "$tree"/data/customise-template.sh "$tree"/src/image/*.cpp)
cached_guest debian "$digest" build
