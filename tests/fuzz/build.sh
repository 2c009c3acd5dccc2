#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the fuzz targets with clang, ASan and UBSan, in build-sanitize unless BLOCKHOST_FUZZ_BUILD names another folder.
# Only those named, or all: tests/fuzz/build.sh [TARGET]...
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BLOCKHOST_FUZZ_BUILD:-$tree/build-sanitize}
say() { printf '[fuzz] %s\n' "$*" >&2; }
fail() { printf '[fuzz] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"

need_packages build fuzz
targets=(fuzzers)
if [ $# -gt 0 ]; then
    targets=("${@/#/tests/fuzz/}")
    targets=("${targets[@]/%/_fuzz}")
fi
build_sanitized "$tree" "$build" "${targets[@]}"
