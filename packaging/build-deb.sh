#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the Debian package and leaves it as build/blockhost-provisioner-libvirt_<version>_<arch>.deb, whose path is
# the one line on stdout. Other folders' builds are not touched: it works in build-deb/, on a copy of the sources. As root it
# installs what it needs to build; anybody else is told what is missing. No tests are built or run.
#
# Where there is ccache, its cache is used.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$tree/build-deb
source=$work/blockhost-provisioner-libvirt
output=$tree/build
log=$work/build-output.log

say() { printf '[build-deb %3d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[build-deb] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"

case ${1:-} in
    "") ;;
    -h | --help) sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) fail "unknown option $1" ;;
esac

take_turn() {
    mkdir -p "$work"
    exec 8>"$work/lock"
    flock -n 8 || { say "another package build is at work here; waiting for it"; flock 8; }
}

copy_sources() {
    local part
    rm -rf -- "$source"
    mkdir "$source"
    for part in CHANGELOG.md LICENSE README.md data docs hooks imgtree meson.build meson_options.txt provisioner.json src \
                subcommands symlinks; do
        cp -a -- "$tree/$part" "$source/"
    done
    cp -a -- "$tree/packaging/debian" "$source/debian"
    find "$source" -name __pycache__ -prune -exec rm -rf {} +
}

# debhelper gives the build a home folder of its own, where the cache would not be found again.
use_ccache() {
    command -v ccache >/dev/null || return 0
    CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
    export CCACHE_DIR CCACHE_BASEDIR=$source CCACHE_NOHASHDIR=1
}

# Without debug information: nothing here publishes a package of symbols.
build_package() {
    export DEB_BUILD_OPTIONS="nocheck noautodbgsym ${DEB_BUILD_OPTIONS:-}"
    export DEB_CFLAGS_STRIP=-g DEB_CXXFLAGS_STRIP=-g
    (cd "$source" && dpkg-buildpackage --build=binary --no-sign) >"$log" 2>&1 </dev/null 8>&- ||
        { grep -v '^\[' "$log" | tail -n 60 >&2; fail "the package was not built (log: $log)"; }
}

take_turn
[ "$(id -u)" -ne 0 ] || need_packages build deb
copy_sources
use_ccache
rm -f -- "$work"/*.deb
say "building the package (minutes the first time)"
with_progress "$log" build_package
made=("$work"/blockhost-provisioner-libvirt_*.deb)
if [ ! -f "${made[0]}" ] || [ "${#made[@]}" -ne 1 ]; then
    fail "there is no package, or more than one, in $work (log: $log)"
fi
mkdir -p "$output"
rm -f -- "$output"/blockhost-provisioner-libvirt_*.deb
install -m 0644 -- "${made[0]}" "$output/"
say "done"
printf '%s\n' "$output/${made[0]##*/}"
