#!/bin/bash
# SPDX-License-Identifier: MIT
# BlockHost's first boot runs this as root, again and again until it ends well: installs and starts the hypervisor, and
# lets the blockhost user use it. What is only missing (KVM, a package that nothing stands on, the blockhost user,
# systemd) is said and gone on without; without the hypervisor's packages it fails, to be run again.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

state=${STATE_DIR:-/var/lib/blockhost}
# Seconds between attempts to get hold of apt, which something else may be using at first boot.
pause=${BLOCKHOST_APT_PAUSE:-15}
attempts=20
# How many times it is waited for, and what apt says then.
patience=120
busy='Could not get lock|Unable to lock directory|Unable to acquire the dpkg|locked by another process'

needed=(libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils libcurl4 libisofs6)
# nwfilter and ebtables separate tenants; guestfs-tools and mmdebstrap make templates; engines use the last two.
useful=(libvirt-daemon-config-nwfilter ebtables guestfs-tools mmdebstrap python3-ecdsa jq)

say() { printf '[libvirt first boot] %s\n' "$*"; }
warn() { printf '[libvirt first boot] WARNING: %s\n' "$*" >&2; }

has_systemd() { [ -d /run/systemd/system ]; }

# Of the packages named, those that are not installed.
missing_of() {
    local package
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
    done
}

# apt_get ATTEMPTS ARGUMENT...: apt-get, tried again while it fails: the network may not be up. While something else uses apt
# it is waited for, which is no attempt; DPkg::Lock::Timeout does not know the lock of apt's lists.
apt_get() {
    local left=$1 waits=$patience words
    shift
    words=$(mktemp)
    # Finishes what an interrupted installation left, which apt would refuse to go on from.
    dpkg --configure -a >/dev/null 2>&1 </dev/null || true
    until apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null 2>"$words"; do
        cat "$words" >&2
        if grep -qE "$busy" "$words" && [ "$waits" -gt 0 ]; then
            waits=$((waits - 1))
            say "something else uses apt; waiting for it"
        else
            left=$((left - 1))
            [ "$left" -gt 0 ] || break
            say "apt-get $1 failed; trying again in $pause s"
        fi
        sleep "$pause"
    done
    rm -f "$words"
    [ "$left" -gt 0 ]
}

install_packages() {
    local missing package
    mapfile -t missing < <(missing_of "${needed[@]}" "${useful[@]}")
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing ${missing[*]}"
    apt_get 3 update || warn "the package lists could not be fetched; trying with what there is"
    # All at once first; one that cannot be had must not keep the others away.
    apt_get 1 install --no-install-recommends "${missing[@]}" || {
        mapfile -t missing < <(missing_of "${needed[@]}")
        [ "${#missing[@]}" -eq 0 ] || apt_get "$attempts" install --no-install-recommends "${missing[@]}" || true
        for package in $(missing_of "${useful[@]}"); do
            apt_get 2 install --no-install-recommends "$package" || warn "$package could not be installed"
        done
    }
    mapfile -t missing < <(missing_of "${needed[@]}")
    [ "${#missing[@]}" -eq 0 ] || { warn "not installed: ${missing[*]}"; return 1; }
}

start_libvirt() {
    has_systemd || { warn "systemd does not run here: start libvirtd by hand"; return 0; }
    systemctl enable libvirtd.service >/dev/null 2>&1 || warn "libvirtd could not be enabled"
    systemctl start libvirtd.service || warn "libvirtd could not be started"
}

# Group ids of the blockhost user that the process lacks.
lacks_a_group() {
    local gid
    for gid in $(id -G blockhost); do
        grep -E '^(Gid|Groups):' "/proc/$1/status" 2>/dev/null | grep -qw -- "$gid" || return 0
    done
    return 1
}

# Whoever ran as blockhost before has the groups of then.
restart_services() {
    local unit user pid
    has_systemd || return 0
    for unit in $(systemctl list-units --type=service --state=running --plain --no-legend | awk '{ print $1 }'); do
        user=$(systemctl show --property=User --value "$unit") || continue
        pid=$(systemctl show --property=MainPID --value "$unit") || continue
        if [ "$user" = blockhost ] && [ -d "/proc/${pid:-0}" ] && lacks_a_group "$pid"; then
            say "restarting $unit for its new groups"
            systemctl try-restart "$unit" || warn "$unit could not be restarted"
        fi
    done
}

# Outside of any step: the user may have been made, or the groups, since the step was done.
join_groups() {
    local group
    id blockhost >/dev/null 2>&1 || { warn "there is no blockhost user yet"; return 0; }
    for group in libvirt libvirt-qemu; do
        getent group "$group" >/dev/null || { warn "there is no group $group"; continue; }
        id -nG blockhost | tr ' ' '\n' | grep -qx "$group" || usermod -aG "$group" blockhost
    done
    restart_services
}

look_for_kvm() {
    if [ -e /dev/kvm ]; then
        say "/dev/kvm is there"
    else
        warn "there is no /dev/kvm: guests will be emulated, slowly; switch on virtualization in the firmware"
    fi
}

# step NAME FUNCTION: runs it once; its marker tells that it was done.
step() {
    [ ! -e "$state/.step-$1" ] || return 0
    "$2" || { warn "step $1 failed"; return 1; }
    touch "$state/.step-$1"
}

set_up_libvirt() { install_packages && start_libvirt; }

mkdir -p "$state"
step libvirt set_up_libvirt
join_groups
/usr/share/blockhost-libvirt/make-folders.py || warn "the state folders could not be made"
step kvm-check look_for_kvm
say "done"
