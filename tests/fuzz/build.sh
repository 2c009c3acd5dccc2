#!/usr/bin/env bash
# Builds the fuzz targets with clang, ASan and UBSan in a folder of their own, build-fuzz unless BLOCKHOST_FUZZ_BUILD
# names another. Only those named, or all: tests/fuzz/build.sh [TARGET]...
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BLOCKHOST_FUZZ_BUILD:-$tree/build-fuzz}
say() { printf '[fuzz] %s\n' "$*" >&2; }
fail() { printf '[fuzz] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"

need_packages build fuzz
export CC="ccache clang" CXX="ccache clang++" CCACHE_BASEDIR=$tree CCACHE_NOHASHDIR=1
if [ ! -e "$build/build.ninja" ]; then
    meson setup "$build" "$tree" -Dfuzz=true -Dtests=false -Dlibvirt_driver=false -Doptimization=1 -Db_lundef=false \
        >"$build.log" 2>&1 || { cat "$build.log" >&2; fail "meson refused (log: $build.log)"; }
fi
targets=(fuzzers)
if [ $# -gt 0 ]; then
    targets=("${@/#/tests/fuzz/}")
    targets=("${targets[@]/%/_fuzz}")
fi
ninja -C "$build" "${targets[@]}" >"$build.log" 2>&1 </dev/null ||
    { grep -v '^\[' "$build.log" | tail -n 60 >&2; fail "the build failed (log: $build.log)"; }
