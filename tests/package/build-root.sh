#!/usr/bin/env bash
# A clean Debian 12 root with python3 and nothing of ours, for the package's tests: made once a host, kept beside the
# guests. Prints the folder that holds root/. Needs root and mmdebstrap.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/guest/lib.sh
. "$here/../guest/lib.sh"

# A private mount namespace: nothing that packages' scripts mount or change reaches the host.
make_root() {
    unshare --mount mmdebstrap --mode=root --variant=minbase --include=python3 --quiet bookworm "$1/root" 9>&- ||
        fail "mmdebstrap failed"
}

[ "$(id -u)" -eq 0 ] || fail "making the clean root needs root"
cached_guest package-root "$(recipe_digest minbase "$here/../guest/lib.sh" "${BASH_SOURCE[0]}")" make_root
