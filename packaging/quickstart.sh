#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A demonstration on a fresh Debian 12, as root: installs packages, builds, starts libvirt, makes a BlockHost of its own
# under one folder and creates a real VM in it. May be run again at any time: what is there is used as it is.
#
#   packaging/quickstart.sh            make the demonstration
#   packaging/quickstart.sh --remove   take away all of it but installed packages
#
# Everything lies under BLOCKHOST_DEMO_ROOT (default /srv/blockhost-demo) with a bridge, pool and filters of its own; an
# installed BlockHost is not touched. No KVM needed.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=${BLOCKHOST_DEMO_ROOT:-/srv/blockhost-demo}
state=$root/var/lib/blockhost
marker=$root/.blockhost-demo
bridge=bhdemo0
vm=demo-001
wallet=0x00000000000000000000000000000000000000d1
# shellcheck disable=SC2034 # packaging/lib.sh reads it
package_log=/var/log/blockhost-quickstart-packages.log

say() { printf '[quickstart %3d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[quickstart] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"

usage() { sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

check_host() {
    [ "$(id -u)" -eq 0 ] || fail "run me as root"
    command -v apt-get >/dev/null || fail "this needs Debian 12 (there is no apt-get here)"
    case $root in /*/*) ;; *) fail "BLOCKHOST_DEMO_ROOT must be an absolute path below a folder, not $root" ;; esac
    [ ! -e "$root" ] || [ -e "$marker" ] || fail "$root exists and is not a demonstration of mine; name another folder in BLOCKHOST_DEMO_ROOT"
}

# One quickstart at a time on a host.
take_turn() {
    exec 8>/run/lock/blockhost-quickstart.lock
    flock -n 8 || fail "another quickstart is running"
}

# Sets $build, and makes the program there unless it is up to date.
build_program() {
    build=$tree/build-quickstart
    [ -w "$tree" ] || build=/var/cache/blockhost-quickstart-build
    say "building (a few minutes the first time)"
    with_progress "$(build_log "$build")" build_tree "$tree" "$build" -Dtests=false -Doptimization=1 -Ddebug=false
}

blockhost() { BLOCKHOST_ROOT=$root "$build/blockhost-libvirt" "$@" 8>&-; }

# The first of some private networks that no interface or route of this host has: "10.N.M".
free_network() {
    local candidate
    for candidate in 10.177.41 10.201.87 10.93.118 172.29.143 192.168.211; do
        if [ -z "$(ip -4 route show root "$candidate.0/24" 2>/dev/null)" ] &&
           [ -z "$(ip -4 -o address show | grep -F " $candidate.")" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "no free private network for the demonstration's bridge"
}

make_root() {
    local folder network
    if [ ! -e "$marker" ]; then
        say "making $root"
        mkdir -p "$root"
        : >"$marker"
    fi
    # QEMU runs as another user: every folder down to the disks must let it through.
    for folder in "$root" "$root/var" "$root/var/lib" "$state"; do
        mkdir -p "$folder"
        chmod 0711 "$folder"
    done
    mkdir -p "$root/etc/blockhost/network-modes.enabled" "$root/run/blockhost" "$root/usr/share/blockhost" "$state/templates"
    chmod 0711 "$state/templates"
    printf '{}\n' >"$root/etc/blockhost/network-modes.enabled/none.json"
    printf 'auth: {otp_length: 6, otp_ttl_seconds: 300}\n' >"$root/etc/blockhost/web3-defaults.yaml"
    if [ ! -e "$root/etc/blockhost/db.yaml" ]; then
        network=$(free_network)
        cat >"$root/etc/blockhost/db.yaml.new" <<END
db_file: $state/vms.json
bridge: $bridge
storage_pool: blockhost
storage_path: $state/vms
ip_pool:
  network: $network.0/24
  start: 10
  end: 250
  gateway: $network.1
END
        chmod 0640 "$root/etc/blockhost/db.yaml.new"
        mv "$root/etc/blockhost/db.yaml.new" "$root/etc/blockhost/db.yaml"
    fi
    [ -e "$root/key" ] || ssh-keygen -q -t ed25519 -N '' -C demo -f "$root/key"
}

make_template() {
    [ ! -e "$state/templates/blockhost-base.qcow2" ] || return 0
    say "making the template from this host's package sources (one to three minutes without KVM)"
    blockhost build-template --source packages --no-packages
}

gateway() { awk '$1 == "gateway:" { print $2 }' "$root/etc/blockhost/db.yaml"; }

make_vm() {
    case $(blockhost status "$vm") in
        active) say "$vm is there and running" ;;
        suspended) say "$vm is there; starting it"; blockhost start "$vm" ;;
        unknown) fail "libvirt cannot be asked about $vm" ;;
        *)
            say "creating $vm: boots a real guest and waits for its agent (1-3 minutes without KVM)"
            blockhost create "$vm" --owner-wallet "$wallet" --cpu 1 --memory 768 --disk 4 --ssh-key "$root/key.pub" \
                --ready-timeout 600 --apply
            ;;
    esac
}

show_result() {
    local address
    address=$(blockhost list --format json | tr '{' '\n' | sed -n "s/.*\"name\": *\"$vm\".*\"ip\": *\"\([^\"]*\)\".*/\1/p" | tail -n 1)
    printf '\nblockhost-libvirt list:\n'
    blockhost list
    printf '\nblockhost-libvirt status %s: %s\n' "$vm" "$(blockhost status "$vm")"
    cat <<END

Look inside:  ssh -i $root/key -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no admin@$address
Its console:  virsh -c qemu:///system console $vm      (leave with Ctrl-])
By hand:      export BLOCKHOST_ROOT=$root; $build/blockhost-libvirt help
Remove it:    $tree/packaging/quickstart.sh --remove
END
}

make_demo() {
    check_host
    take_turn
    say "packages"
    need_packages build libvirt template login
    build_program
    start_libvirt "$root.pids"
    make_root
    make_bridge "$bridge" "$(gateway)/24"
    make_template
    make_vm
    show_result
    say "done"
}

remove_demo() {
    local name vms
    check_host
    take_turn
    if [ ! -e "$marker" ]; then
        remove_bridge "$bridge"
        say "there is no demonstration at $root"
        return
    fi
    if [ -s "$state/instance-id" ]; then
        need_packages build libvirt
        build_program
        start_libvirt "$root.pids"
        blockhost recover --all || say "some unfinished work could not be finished; going on"
        vms=$(blockhost list) || fail "the VMs cannot be listed; nothing was removed"
        for name in $(awk -F'\t' 'NR > 1 && $2 != "destroyed" { print $1 }' <<<"$vms"); do
            say "destroying $name"
            # Once libvirt knows no such domain, what is left of the VM goes with the root folder.
            blockhost destroy "$name" || [ "$(blockhost status "$name")" = destroyed ] ||
                fail "$name could not be destroyed; its disk and the rest stay"
        done
        remove_instance "$(head -c 8 "$state/instance-id")"
    fi
    remove_bridge "$bridge"
    stop_libvirt "$root.pids"
    rm -rf -- "$root" "$root.pids"
    say "removed: the VM, its pool, filters, bridge and $root"
    say "kept: installed packages and the build folder"
}

case ${1:-} in
    "") make_demo ;;
    --remove) remove_demo ;;
    -h | --help) usage ;;
    *) usage >&2; exit 2 ;;
esac
