#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the README's commands as on a machine that was installed a minute ago: in a clean Debian 12 with nothing of this
# host's but a clone of the checkout (what is committed), a network to fetch packages through, and apt's sources and proxies.
# Ends with one line that says what passed and what failed; exit status 1 when anything failed.
#
#   tests/fresh.sh [OPTION]... [OPTION-OF-tests/run.sh]...
#
#   --quickstart-only    packaging/quickstart.sh and its --remove alone
#   --install-only       build-deb.sh and apt-get install of what it made alone
#   --tests-only         tests/run.sh alone
#   --ccache FOLDER      share that folder of ccache's (this host's is `ccache --get-config cache_dir`): the builds of an hour
#                        take minutes. The compiler and its flags must still agree for a file to be found
#   --keep               leave the root where it is afterwards, to look at
#   --in ROOT            go on in such a root, with what is installed and built there, on the newest commit
#
# Everything else is passed on to tests/run.sh, such as --plain or --only cli. BLOCKHOST_FRESH_FOLDER is where the root is put
# (/var/tmp; it becomes some 10 GB large), BLOCKHOST_NO_GUEST=1 waives guests as it does there. Needs root. What is started
# ends with the script, and none of this host's network is touched (tests/tools/in-root.sh).
# shellcheck disable=SC2317 # commands are called by name
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
checkout=/srv/blockhost-libvirt
# shellcheck source=tests/guest/lib.sh
. "$tree/tests/guest/lib.sh"
say() { printf '[fresh %4d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf '[fresh] ERROR: %s\n' "$*" >&2; exit 1; }
# shellcheck source=packaging/lib.sh
. "$tree/packaging/lib.sh"

commands=(quickstart install tests)
ccache_folder=
keep=
root=
for_tests=()
failed=()
passed=()

while [ $# -gt 0 ]; do
    case $1 in
        --quickstart-only) commands=(quickstart) ;;
        --install-only) commands=(install) ;;
        --tests-only) commands=(tests) ;;
        --ccache)
            [ -d "${2:-}" ] || fail "--ccache needs a folder that is there"
            ccache_folder=$(cd "$2" && pwd)
            shift
            ;;
        --keep) keep=yes ;;
        --in)
            [ -d "${2:-}$checkout" ] || fail "--in needs a root that --keep left"
            root=$(cd "$2" && pwd)
            shift
            ;;
        -h | --help) sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) for_tests+=("$1") ;;
    esac
    shift
done

# Of apt's settings, those about ways out.
apt_ways_out() { apt-config dump | grep -E '^Acquire::(https?|ftp|socks|Retries|ForceIPv)' | grep -v 'Proxy-Auto-Detect' || true; }

make_base() {
    apt_ways_out >"$1/ways-out"
    unshare --mount mmdebstrap --mode=root --variant=minbase --quiet --aptopt="$1/ways-out" bookworm "$1/root" 9>&- ||
        fail "mmdebstrap failed"
}

# A copy of the base: it is written to, and file systems are laid over parts of it.
make_root() {
    local base
    base=$(cached_guest fresh-root "$(recipe_digest minbase "$tree/tests/guest/lib.sh" <(declare -f make_base))" make_base)
    folder=$(mktemp -d "${BLOCKHOST_FRESH_FOLDER:-/var/tmp}/blockhost-fresh.XXXXXX")
    # QEMU runs as another user: every folder down to the disks must let it through.
    chmod 0755 "$folder"
    cp -a "$base/root" "$folder/root"
    root=$folder/root
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/throw-away" # the root need not survive a power failure
    echo blockhost-fresh >"$root/etc/hostname"
    printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 blockhost-fresh\n' >"$root/etc/hosts"
    echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf" # slirp4netns's
}

# Whence packages come, and whom this host trusts on the way there.
copy_ways_out() {
    local path
    rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
    for path in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} /etc/apt/preferences /etc/apt/auth.conf \
                /etc/apt/auth.conf.d/* /etc/apt/keyrings/* /etc/apt/trusted.gpg.d/* /usr/share/keyrings/* \
                /usr/local/share/ca-certificates/*.crt; do
        [ ! -f "$path" ] || [ -e "$root$path" ] || install -D -p "$path" "$root$path"
    done
    apt_ways_out >"$root/etc/apt/apt.conf.d/90ways-out"
}

copy_checkout() {
    if git -C "$tree" rev-parse --git-dir >/dev/null 2>&1; then
        [ -z "$(git -C "$tree" status --porcelain)" ] || say "what is not committed stays out"
        [ -d "$root$checkout" ] || git clone -q --no-hardlinks "$tree" "$root$checkout"
        git -C "$root$checkout" fetch -q "$tree" HEAD
        git -C "$root$checkout" reset -q --hard FETCH_HEAD
        say "clone of $(git -C "$root$checkout" log -1 --format='%h %s')"
    else
        mkdir -p "$root$checkout"
        find "$root$checkout" -mindepth 1 -maxdepth 1 ! -name 'build*' -exec rm -rf {} +
        tar -C "$tree" --exclude='./build*' -c . | tar -C "$root$checkout" -x
    fi
}

# A shell script in the root, in the clone.
inside() {
    local name kept=()
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY TERM BLOCKHOST_NO_GUEST; do
        [ -z "${!name:-}" ] || kept+=("$name=${!name}")
    done
    [ -z "$ccache_folder" ] || kept+=(CCACHE_DIR=/mnt/shared)
    BLOCKHOST_SHARED=$ccache_folder "$tree/tests/tools/in-root.sh" "$root" env -i HOME=/root LANG=C.UTF-8 "${kept[@]}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -euc "cd $checkout"$'\n'"$1" bash "${@:2}"
}

# The README's commands. Each is one boot of that host: what runs ends with it, what was installed and made stays.
run_quickstart() { inside 'packaging/quickstart.sh && packaging/quickstart.sh --remove'; }
# Installed, then set up as README says. No template is built here (quickstart does), and nobody keeps that host's clock: no
# more than these two may be missing then.
run_install() {
    # shellcheck disable=SC2016 # expanded by the shell inside
    inside './build-deb.sh
        apt-get -q=2 update
        apt-get -q=2 -y install ./build/blockhost-provisioner-libvirt_*.deb >/var/log/install.log 2>&1 </dev/null ||
            { tail -n 40 /var/log/install.log; exit 1; }
        audit=$(dpkg --audit)
        [ -z "$audit" ] || { echo "$audit"; exit 1; }
        say() { echo "$*" >&2; }
        fail() { say "$*"; exit 1; }
        . packaging/lib.sh
        start_libvirt
        ip link add br0 type bridge
        ip address add 192.168.77.1/24 dev br0
        ip link set br0 up
        blockhost-libvirt setup storage
        blockhost-libvirt setup network
        blockhost-libvirt setup db-config --ip-network 192.168.77.0/24 --ip-start 200 --ip-end 250 --gateway 192.168.77.1
        mkdir -p /etc/blockhost/network-modes.enabled
        echo "{}" >/etc/blockhost/network-modes.enabled/none.json
        blockhost-libvirt list
        explained=$(blockhost-libvirt detect --explain || true)
        echo "$explained"
        grep -q "^ok  *storage pool:" <<<"$explained" # silence is no good answer
        ! grep "^missing" <<<"$explained" | grep -vE "^missing (template|clock):"'
}
run_tests() { inside 'tests/run.sh "$@"' "${for_tests[@]}"; }

clean_up() {
    [ -n "${folder:-}" ] || return 0
    if [ -n "$keep" ]; then say "the root is kept: $root"; else rm -rf --one-file-system "$folder"; fi
}

# play COMMAND: one of the README's, and how it ended.
play() {
    local began=$SECONDS status=0 took
    say "README: $1"
    # Not as a condition: the shell would forget there to end at the first failure.
    set +e
    (set -e; "run_$1")
    status=$?
    set -e
    took="$1 ($((SECONDS - began)) s)"
    if [ "$status" -eq 0 ]; then passed+=("$took"); else failed+=("$took"); fi
    say "$took ended with status $status"
}

# In words: each argument, or nothing.
list() { [ $# -gt 0 ] || set -- nothing; printf '%s' "$1"; shift; [ $# -eq 0 ] || printf ', %s' "$@"; }

main() {
    local command
    [ "$(id -u)" -eq 0 ] || fail "run me as root: I make a root folder and namespaces"
    need_packages fresh
    trap clean_up EXIT
    trap 'exit 143' TERM
    trap 'exit 130' INT
    if [ -z "$root" ]; then
        say "making a clean Debian 12"
        make_root
        copy_ways_out
    fi
    copy_checkout
    for command in "${commands[@]}"; do play "$command"; done
    printf 'on a clean Debian 12: passed: %s; failed: %s\n' "$(list "${passed[@]}")" "$(list "${failed[@]}")"
    [ "${#failed[@]}" -eq 0 ]
}

{ main; exit; } # read whole: this file may be changed while it runs
