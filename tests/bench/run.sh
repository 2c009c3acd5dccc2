#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Measures what the commands cost, side by side with references in the same run (tests/bench/bench.py --help says what
# and with which options), on machines of its own that are gone afterwards. Exit status 1 when a ratio breaks its bar.
#
#   tests/bench/run.sh [OPTION]...     BLOCKHOST_BUILD names the build folder, else build, which tests/run.sh makes
#
# The references are the programs in yardsticks/ and beside this file: lvx.c, a minimal client on libvirt.so; rawstate.c,
# rawmetrics.c, rawlist.c and rawstats.c (raw.h), static clients that speak libvirt's RPC themselves; rewrite.c, a change
# of a file; node.c and node_py.py, the guests of a Proxmox node by libcurl and by proxmoxer; metrics_py.py, an interpreter and one virsh per question. Changing one of them is changing the bar.
# fleet.py measures metrics --all over guests of which one has a stopped agent.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
BLOCKHOST_BUILD=$(cd "${BLOCKHOST_BUILD:-$tree/build}" && pwd)
export BLOCKHOST_BUILD
say() { printf '[bench] %s\n' "$*" >&2; }
fail() { printf '[bench] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"

[ "$(id -u)" -eq 0 ] || fail "run me as root: I make VMs"
[ -x "$BLOCKHOST_BUILD/blockhost-libvirt" ] ||
    fail "there is no $BLOCKHOST_BUILD/blockhost-libvirt; build first (tests/run.sh --list)"
need_packages build libvirt quick-guest pytest bench backup
start_libvirt
exec /usr/bin/python3 "$here/bench.py" "$@"
