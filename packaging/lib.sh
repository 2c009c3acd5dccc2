# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Shared by packaging/ and tests/: package lists, libvirt by systemd or by hand, bridges, the build.

export LC_ALL=C DEBIAN_FRONTEND=noninteractive

daemon_log=/var/log/blockhost-libvirt-started.log
package_log=${package_log:-/var/log/blockhost-packages.log}

# packages_for PURPOSE...: the names of Debian 12's packages.
packages_for() {
    local purpose
    for purpose; do
        case $purpose in
            build)
                printf '%s\n' g++ gcc meson ninja-build pkg-config ccache libvirt-dev libboost1.81-dev libboost-json1.81-dev \
                    libboost-program-options1.81-dev libyaml-cpp-dev libpugixml-dev libfmt-dev libisofs-dev libcurl4-openssl-dev libssl-dev libmd-dev \
                    libpcre2-dev libsecp256k1-dev libsodium-dev libsqlite3-dev nettle-dev libnbd-dev libfuse3-dev
                ;;
            libvirt)
                printf '%s\n' libvirt-daemon-system libvirt-daemon-config-nwfilter libvirt-clients qemu-system-x86 \
                    qemu-utils ebtables iproute2 procps dnsmasq-base
                ;;
            template)
                printf '%s\n' guestfs-tools mmdebstrap e2fsprogs fdisk qemu-utils debian-archive-keyring
                # libguestfs boots a kernel of the host's; only where there is none (a container) one is installed.
                compgen -G '/boot/vmlinuz-*' >/dev/null || printf '%s\n' linux-image-cloud-amd64
                ;;
            quick-guest) printf '%s\n' busybox-static qemu-guest-agent qemu-utils kmod cpio ;;
            catch) printf '%s\n' catch2 ;;
            pytest) printf '%s\n' python3 python3-pytest python3-pytest-xdist python3-yaml openssl binutils ;;
            shells) printf '%s\n' bash-completion zsh fish groff-base ;;
            disks) printf '%s\n' qemu-utils genisoimage ;;
            network) printf '%s\n' iproute2 iputils-ping procps systemd ;;
            json-schema) printf '%s\n' python3-jsonschema ;;
            schemas) printf '%s\n' libvirt-clients libxml2-utils ;;
            trace) printf '%s\n' strace ;;
            random) printf '%s\n' python3-hypothesis ;;
            tools) printf '%s\n' git slirp4netns ;;
            lint) printf '%s\n' clang-format-14 clang-tidy-14 shellcheck git ;;
            browser) printf '%s\n' chromium chromium-driver python3-selenium python3-flask ;;
            fuzz) printf '%s\n' clang libclang-rt-14-dev ;;
            coverage) printf '%s\n' gcovr ;;
            bench) printf '%s\n' python3-proxmoxer python3-requests ;;
            login) printf '%s\n' openssh-client ;;
            etcd) printf '%s\n' etcd-server openssl ;;
            backup) printf '%s\n' restic fuse3 qemu-utils nbdkit dropbear-bin openssh-sftp-server openssh-client rclone ;;
            chain)
                # Node.js by other means than Debian's has npm in it.
                command -v npm >/dev/null || printf '%s\n' npm
                ;;
            deb) printf '%s\n' debhelper dpkg-dev build-essential ;;
            package) printf '%s\n' lintian man-db mmdebstrap slirp4netns ;;
            fresh) printf '%s\n' mmdebstrap slirp4netns git ;;
            *) fail "no packages are known for $purpose" ;;
        esac
    done
}

# How long another program may use apt or dpkg, and how apt and dpkg say that it does.
apt_patience=1800
apt_is_busy='Could not get lock|Unable to lock directory|Unable to acquire the dpkg|locked by another process'

# apt_get ARGUMENT...: apt-get, which waits while another program uses apt or dpkg, saying so. What it says is in $package_log.
# (DPkg::Lock::Timeout does not know the lock of apt's lists, and says nothing.)
apt_get() {
    local deadline=$((SECONDS + apt_patience)) result said=''
    while :; do
        result=0
        apt-get -q=2 "$@" >"$package_log" 2>&1 </dev/null || result=$?
        if [ "$result" -eq 0 ] || ! grep -qE "$apt_is_busy" "$package_log" || [ "$SECONDS" -ge "$deadline" ]; then
            return "$result"
        fi
        [ -n "$said" ] || say "waiting for another program that uses apt ($(grep -m 1 -E "$apt_is_busy" "$package_log"))"
        said=yes
        sleep 3
    done
}

# Fetches apt's lists; with those that cannot be had it goes on without.
fetch_lists() { apt_get update || say "some package lists could not be fetched; trying with what there is"; }

# missing_packages PURPOSE...: the names of those that are not installed.
missing_packages() {
    local wanted
    wanted=$(packages_for "$@")
    comm -23 <(sort -u <<<"$wanted") \
        <(dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed //; s/:.*//; p' | sort -u)
}

# need_packages PURPOSE...: installs those that are missing; apt's lists are fetched only then, or when there are none.
need_packages() {
    local missing
    missing=$(missing_packages "$@")
    if [ -n "$missing" ]; then
        say "installing packages: ${missing//$'\n'/ }"
        fetch_lists
        # shellcheck disable=SC2086  # a list of names
        apt_get install -y --no-install-recommends $missing ||
            { tail -n 30 "$package_log" >&2; fail "cannot install packages (log: $package_log)"; }
    elif ! apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1; then
        fetch_lists
    fi
}

libvirt_answers() { timeout 15 virsh -c qemu:///system version >/dev/null 2>&1; }

# start_libvirt [PID-FOLDER]: leaves a running libvirtd alone; else starts it through systemd where that is PID 1, and by
# hand elsewhere, leaving virtlogd.pid and libvirtd.pid in PID-FOLDER for stop_libvirt.
start_libvirt() {
    local pids=${1:-} deadline=$((SECONDS + 60))
    libvirt_answers && return
    say "starting libvirt"
    if [ -d /run/systemd/system ]; then
        systemctl start libvirtd.service
    else
        start_daemon virtlogd "$pids"
        start_daemon libvirtd "$pids"
    fi
    until libvirt_answers; do
        [ "$SECONDS" -lt "$deadline" ] ||
            fail "libvirt does not answer on qemu:///system (see journalctl -u libvirtd, or $daemon_log)"
        sleep 0.5
    done
}

# The daemon refuses when one runs already; it must not keep our locks and pipes open.
start_daemon() {
    local name=$1 pids=$2
    "$name" --daemon </dev/null >>"$daemon_log" 2>&1 8>&- 9>&- || return 0
    [ -z "$pids" ] || install -D -m 0644 "/run/$name.pid" "$pids/$name.pid"
}

# stop_libvirt PID-FOLDER: ends the daemons that start_libvirt started by hand, unless other VMs still run.
stop_libvirt() {
    local pids=$1 name pid
    [ -e "$pids/libvirtd.pid" ] || [ -e "$pids/virtlogd.pid" ] || return 0
    if [ -n "$(virsh -q -c qemu:///system list --name 2>/dev/null | tr -d '\n ')" ]; then
        say "libvirt stays up: other VMs run"
        return 0
    fi
    for name in libvirtd virtlogd; do
        pid=$(cat "$pids/$name.pid" 2>/dev/null) || continue
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] && kill "$pid"
        rm -f "$pids/$name.pid"
    done
}

# make_bridge NAME ADDRESS/PREFIX: a bridge with that address; one that is there already stays.
make_bridge() {
    local name=$1 address=$2
    [ -d "/sys/class/net/$name" ] || ip link add "$name" type bridge
    ip -brief address show dev "$name" | grep -qw "$address" || ip address add "$address" dev "$name"
    ip link set "$name" up
}

# remove_bridge NAME
remove_bridge() { [ ! -d "/sys/class/net/$1/bridge" ] || ip link delete "$1"; }

# remove_instance TAG: pools and filters of the BlockHost instance whose id begins with TAG (those of the instance at the
# default root have no tag and are never matched).
remove_instance() {
    local tag=$1 name
    [[ $tag =~ ^[0-9a-f]{8}$ ]] || return 0
    for name in $(virsh -q -c qemu:///system pool-list --all --name | of_instance "$tag"); do
        virsh -q -c qemu:///system pool-destroy "$name" >/dev/null 2>&1 || true
        virsh -q -c qemu:///system pool-undefine "$name" >/dev/null
    done
    for name in $(virsh -q -c qemu:///system nwfilter-list | awk '{ print $2 }' | of_instance "$tag"); do
        virsh -q -c qemu:///system nwfilter-undefine "$name" >/dev/null
    done
}

# Of the names on stdin, those of the instance with tag $1.
of_instance() { tr -d ' ' | grep -E -- "^blockhost.*-$1\$" || true; }

# Where build_tree writes what meson and ninja say about build folder $1.
build_log() { printf '%s/build-output.log\n' "$1"; }

# build_tree SOURCE BUILD [MESON-OPTION]... [-- TARGET...]: configures and builds; the log is shown when that fails.
build_tree() {
    local source=$1 build=$2 log options=()
    # What another checkout has compiled serves this one too: CI's is always a new one.
    export CCACHE_BASEDIR=$source CCACHE_NOHASHDIR=1
    log=$(build_log "$2")
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    mkdir -p "$build"
    if [ -e "$build/build.ninja" ]; then meson configure "$build" "${options[@]}" >"$log" 2>&1
    else meson setup "$build" "$source" "${options[@]}" >"$log" 2>&1
    fi || { cat "$log" >&2; fail "meson refused (log: $log)"; }
    ninja -C "$build" "${@:2}" >>"$log" 2>&1 </dev/null || { grep -v '^\[' "$log" | tail -n 60 >&2; fail "the build failed (log: $log)"; }
}

# build_for_tests SOURCE BUILD [TARGET]...: warnings are errors; all, or what is named.
build_for_tests() { build_tree "$1" "$2" -Dwerror=true -Dtests=true -Dcpp_args=-g1 -- "${@:3}"; }

# build_sanitized SOURCE BUILD [TARGET]...: with ASan and UBSan, and the fuzz targets when they are named. By clang: it has
# libFuzzer, takes two thirds of g++'s time here, and its warnings are others.
build_sanitized() {
    local source=$1 build=$2
    CC='ccache clang' CXX='ccache clang++' build_tree "$source" "$build" -Dsanitized=true -Dtests=true -Dwerror=true \
        -Doptimization=1 -Db_lundef=false -Dcpp_args=-g1 -- "${@:3}"
}

# with_progress LOG COMMAND...: runs it, and says every 15 s that it is still at work, with LOG's newest line when given.
with_progress() {
    local log=$1 ticker result=0
    shift
    (
        while sleep 15 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
            say "  ... $( [ -z "$log" ] || tail -n 1 "$log" 2>/dev/null | cut -c1-90)"
        done
    ) >&2 </dev/null 8>&- 9>&- &
    ticker=$!
    ("$@") || result=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    return "$result"
}
