#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# in-root.sh ROOT COMMAND [ARGUMENT]...: runs a command as root on a host of its own, made of the folder ROOT: its own mounts,
# processes, cgroups, host name and network, devices that are nodes of its own, and nothing of this host's files. What it
# mounts, starts and adds to networks ends with the command.
#
# It reaches out through slirp4netns, a network in user space: no bridge, address, route or filter rule of this host is
# touched. A folder in BLOCKHOST_SHARED is the one thing that is shared: it is /mnt/shared there.
#
# Needs root, and slirp4netns. Its exit status is the command's.
set -euo pipefail

fail() { printf '[in-root] ERROR: %s\n' "$*" >&2; exit 1; }

# Mount options that do not say which controllers a hierarchy has.
not_of_cgroups='rw|ro|relatime|nosuid|nodev|noexec|xattr|(release_agent|clone_children).*'
devices=(null zero full random urandom tty kvm net/tun fuse loop-control loop{0..7} hwrng)

# Makes $1/dev: nodes of those devices that this host has.
make_devices() {
    local dev=$1/dev name numbers
    mount -t tmpfs -o mode=0755,nosuid tmpfs "$dev"
    for name in "${devices[@]}"; do
        [ -c "/dev/$name" ] || [ -b "/dev/$name" ] || continue
        mkdir -p "$(dirname "$dev/$name")"
        # Two hexadecimal numbers.
        read -r -a numbers <<<"$(stat -c '%t %T' "/dev/$name")"
        mknod -m 0666 "$dev/$name" "$([ -b "/dev/$name" ] && echo b || echo c)" "$((16#${numbers[0]}))" "$((16#${numbers[1]}))"
    done
    mkdir "$dev/pts" "$dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$dev/shm"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    ln -s fd/0 "$dev/stdin"
    ln -s fd/1 "$dev/stdout"
    ln -s fd/2 "$dev/stderr"
}

# Mounts in $1 the cgroup hierarchies that this host has where it has them; in a cgroup namespace each begins where we are.
mount_cgroups() {
    local root=$1 place type options
    mount -t tmpfs -o mode=0755 tmpfs "$root/sys/fs/cgroup"
    while read -r _ place type options _; do
        case $type:$place in
            cgroup2:/sys/fs/cgroup) mount -t cgroup2 cgroup2 "$root$place" ;;
            cgroup:/sys/fs/cgroup/* | cgroup2:/sys/fs/cgroup/*)
                mkdir -p "$root$place"
                options=$(tr ',' '\n' <<<"$options" | grep -vxE "$not_of_cgroups" | paste -sd, || true)
                mount -t "$type" ${options:+-o "$options"} cgroup "$root$place" || rmdir "$root$place"
                ;;
        esac
    done </proc/self/mounts
    # In version 2 a group that hands controllers on has no processes of its own.
    if [ -e "$root/sys/fs/cgroup/cgroup.procs" ]; then
        mkdir -p "$root/sys/fs/cgroup/init"
        echo $$ >"$root/sys/fs/cgroup/init/cgroup.procs"
    fi
}

# The first process there: makes the rest of the host, and collects whoever is left behind.
be_first() {
    local root=$1
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$root/run"
    mkdir -p "$root/run/lock"
    chmod 1777 "$root/run/lock"
    make_devices "$root"
    mount_cgroups "$root"
    if [ -n "${BLOCKHOST_SHARED:-}" ]; then
        mkdir -p "$root/mnt/shared"
        mount --bind "$BLOCKHOST_SHARED" "$root/mnt/shared"
    fi
    hostname "$(cat "$root/etc/hostname")"
    mkdir -p "$root/.outside"
    cd "$root"
    pivot_root . .outside
    # shellcheck disable=SC2016 # the shell there expands it
    exec chroot . /bin/bash -c '
        umount --lazy /.outside && rmdir /.outside || exit 125
        for _ in $(seq 100); do
            [ -d /sys/class/net/tap0 ] && grep -q "^tap0" /proc/net/route && break
            sleep 0.1
        done
        [ -d /sys/class/net/tap0 ] || { echo "[in-root] ERROR: slirp4netns gives no network here" >&2; exit 125; }
        cd /root
        "$@"
        exit $?' bash "$@"
}

# Our own place in each cgroup hierarchy that we may make one in: $1 is its name.
enter_cgroups() {
    local place type ours file
    while read -r _ place type _; do
        case $type in cgroup | cgroup2) ;; *) continue ;; esac
        ours=$place/$1
        # In version 2 only the uppermost group is sure to hand controllers on; in version 1 limits that we have are kept.
        [ "$type" = cgroup2 ] || ours=$place$(own_cgroup "${place##*/}")/$1
        mkdir -p "$ours" 2>/dev/null || continue
        cgroups+=("$ours")
        # In version 1 a new cpuset has none.
        for file in cpuset.cpus cpuset.mems; do
            [ "$type" = cgroup2 ] || [ ! -e "$ours/$file" ] || cat "${ours%/*}/$file" >"$ours/$file"
        done
        echo $$ >"$ours/cgroup.procs" || fail "cannot enter $ours"
    done </proc/self/mounts
}

# Where we are in the hierarchy of controller (or name) $1.
own_cgroup() {
    awk -F: -v name="$1" '{ n = split($2, names, ","); for (i = 1; i <= n; i++)
        if ((names[i] == name || names[i] == "name=" name) && $3 != "/") print $3 }' /proc/self/cgroup
}

leave() {
    local group
    [ -z "${network:-}" ] || kill "$network" 2>/dev/null || true
    [ -z "${host:-}" ] || kill -KILL "$host" 2>/dev/null || true
    wait 2>/dev/null || true
    for group in "${cgroups[@]}"; do
        if [ -e "${group%/*}/cgroup.procs" ]; then echo $$ >"${group%/*}/cgroup.procs" 2>/dev/null || true; fi
        # Whoever was killed is in it for a moment more.
        for _ in $(seq 50); do
            find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
            [ -d "$group" ] || break
            sleep 0.1
        done
    done
}

run() {
    local root status=0
    [ "$(id -u)" -eq 0 ] || fail "run me as root"
    root=$(cd "$1" && pwd)
    shift
    cgroups=()
    trap leave EXIT
    trap 'exit 143' TERM
    trap 'exit 130' INT
    enter_cgroups "blockhost-root-$$"
    unshare --mount --propagation private --pid --fork --kill-child=KILL --mount-proc --uts --ipc --cgroup --net \
        "${BASH_SOURCE[0]}" --first "$root" "$@" &
    host=$!
    until [ "$(readlink "/proc/$host/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
        kill -0 "$host" || fail "no namespaces can be made here"
        sleep 0.05
    done
    slirp4netns --configure --mtu=65520 --disable-host-loopback "$host" tap0 >/dev/null 2>&1 &
    network=$!
    wait "$host" || status=$?
    host=
    exit "$status"
}

case ${1:-} in
    --first) shift; be_first "$@" ;;
    "" | -h | --help) sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" ;;
    *) run "$@" ;;
esac
