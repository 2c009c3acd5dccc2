#!/usr/bin/env bash
# Measures what the command line costs, in turns against the programs in yardsticks/, on a VM of its own (the quick
# guest in a root folder and on a bridge of its own) that is gone afterwards. Exit status 1 when a ratio breaks its limit.
#
#   tests/bench/run.sh [BUILD-FOLDER]     default: build, made by tests/run.sh; ROUNDS pairs each (default 200)
#
# lvx.c: a minimal client on libvirt.so. rawstate.c: a static client that speaks libvirt's RPC itself; rawmetrics.c,
# rawlist.c and rawstats.c (raw.h): the same for what metrics and list ask. metrics_py.py: an interpreter and one virsh per
# question. Changing one of them is changing the bar. fleet.py measures metrics --all, many.py list and metrics --all where
# there are hundreds of domains.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
build=$(cd "${1:-$tree/build}" && pwd)
rounds=${ROUNDS:-200}
say() { printf '[bench %3d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[bench] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"

[ "$(id -u)" -eq 0 ] || fail "run me as root: I make a VM"
[ -x "$build/blockhost-libvirt" ] || fail "there is no $build/blockhost-libvirt; build first (tests/run.sh --list)"

bridge=bhbench0
vm=bench-$$
work=$(mktemp -d /var/tmp/blockhost-bench.XXXXXX)
export BLOCKHOST_ROOT=$work/root
state=$BLOCKHOST_ROOT/var/lib/blockhost

cleanup() {
    local tag
    "$build/blockhost-libvirt" destroy "$vm" >/dev/null 2>&1 || say "$vm could not be destroyed"
    tag=$(head -c 8 "$state/instance-id" 2>/dev/null || true)
    [ -z "$tag" ] || remove_instance "$tag"
    remove_bridge "$bridge"
    rm -rf -- "$work"
}

make_yardsticks() {
    gcc -O2 -o "$work/lvx" "$here/yardsticks/lvx.c" -lvirt -lvirt-qemu
    gcc -O2 -static -o "$work/rawstate" "$here/yardsticks/rawstate.c"
    for each in rawmetrics rawlist rawstats; do
        gcc -O2 -Wall -Wextra -static -o "$work/$each" "$here/$each.c"
    done
    gcc -O2 -o "$work/empty" "$here/empty.c"
    gcc -O2 -Wall -Wextra -o "$work/metrics" "$here/metrics.c" -lvirt -lvirt-qemu
    gcc -O2 -Wall -Wextra -o "$work/pairs" "$here/pairs.c"
}

make_vm() {
    local guest
    guest=$("$tree/tests/guest/build-quick.sh" | tail -n 1)
    # shellcheck source=/dev/null
    . "$guest/guest.env"
    mkdir -p "$BLOCKHOST_ROOT/etc/blockhost/network-modes.enabled" "$state/templates" "$BLOCKHOST_ROOT/run/blockhost" \
        "$BLOCKHOST_ROOT/usr/share/blockhost"
    chmod 0711 "$work"
    chmod -R u+rwX,go+X "$BLOCKHOST_ROOT"
    printf '{}\n' >"$BLOCKHOST_ROOT/etc/blockhost/network-modes.enabled/none.json"
    cat >"$BLOCKHOST_ROOT/etc/blockhost/db.yaml" <<END
bridge: $bridge
boot_kernel: $GUEST_KERNEL
boot_initrd: $GUEST_INITRD
boot_arguments: "$GUEST_ARGUMENTS"
ip_pool: {network: 10.214.77.0/24, start: 10, end: 20, gateway: 10.214.77.1}
END
    make_bridge "$bridge" 10.214.77.1/24
    "$build/blockhost-libvirt" build-template --source "file:$GUEST_TEMPLATE" --as-is >/dev/null
    "$build/blockhost-libvirt" create "$vm" --owner-wallet 0x00000000000000000000000000000000000000be \
        --memory 128 --disk 1 --apply >/dev/null
}

need_packages build libvirt quick-guest
start_libvirt
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
make_yardsticks
say "making a VM"
make_vm
say "measuring"
broken=0
pairs() { "$work/pairs" "$rounds" "$@" || { [ $? -eq 1 ] || fail "a measurement failed"; broken=1; }; }
status=$build/symlinks/blockhost-vm-status
pairs 3 "blockhost-vm-status" "$status" "$vm" -- "rawstate" "$work/rawstate" "$vm"
metrics=$build/symlinks/blockhost-vm-metrics
"$metrics" "$vm" >/dev/null # which has the guest's slow values for a minute
pairs 1.3 "blockhost-vm-metrics" "$metrics" "$vm" -- "rawmetrics" "$work/rawmetrics" "$vm"
pairs 0 "blockhost-vm-list" "$build/symlinks/blockhost-vm-list" -- "rawlist" "$work/rawlist"
pairs 3 "blockhost-libvirt --version" "$build/blockhost-libvirt" --version -- "an empty C program" "$work/empty"
pairs 5 "blockhost-libvirt --help" "$build/blockhost-libvirt" --help -- "an empty C program" "$work/empty"
pairs 0 "blockhost-vm-status" "$status" "$vm" -- "lvx state" "$work/lvx" state "$vm"
pairs 0 "blockhost-vm-metrics" "$metrics" "$vm" -- "the same calls on libvirt.so" "$work/metrics" "$vm"
rounds=$((rounds < 20 ? rounds : 20))
pairs 0 "blockhost-vm-metrics" "$metrics" "$vm" -- "metrics_py.py" "$here/yardsticks/metrics_py.py" "$vm"
pairs 0 "blockhost-vm-status" "$status" "$vm" -- "virsh domstate" "$(command -v virsh)" -c qemu:///system domstate "$vm"
# libvirt's library still does what changes, and every look where it is told to
export BLOCKHOST_DRIVER=libvirt
pairs 1.3 "blockhost-vm-status, library" "$status" "$vm" -- "lvx state" "$work/lvx" state "$vm"
pairs 1.5 "blockhost-vm-metrics, library" "$metrics" "$vm" -- "the same calls on libvirt.so" "$work/metrics" "$vm"
exit "$broken"
