# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Shared by the guest builders: where guests are kept, when one is built anew, and that only one process builds it.
#
# A guest is a folder <cache>/<kind>-<digest>/ that appears whole or not at all. The digest covers the recipe's files and
# the versions of what it is made of, so a changed recipe makes a new folder and a finished one is never written again.

export LC_ALL=C DEBIAN_FRONTEND=noninteractive
umask 022

say() { printf '[guest] %s\n' "$*" >&2; }
fail() { printf '[guest] ERROR: %s\n' "$*" >&2; exit 1; }

guest_cache() {
    if [ -n "${BLOCKHOST_GUEST_CACHE:-}" ]; then printf '%s\n' "$BLOCKHOST_GUEST_CACHE"
    elif [ "$(id -u)" -eq 0 ]; then printf '/var/cache/blockhost-guests\n'
    else printf '%s/blockhost-guests\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
    fi
}

# The package behind a metapackage for this machine's kernel image, and its candidate version: "NAME VERSION".
kernel_candidate() {
    local name
    name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
    [ -n "$name" ] || return 1
    printf '%s %s\n' "$name" "$(apt-cache policy "$name" | awk '$1 == "Candidate:" { print $2 }')"
}

# recipe_digest TEXT FILE...: what identifies a guest.
recipe_digest() {
    local text=$1
    shift
    { printf '%s\n' "$text"; cat -- "$@"; } | sha256sum | cut -c1-16
}

# cached_guest KIND DIGEST BUILD: prints the guest's folder; calls `BUILD FOLDER FINAL`
# to fill a new one, which is FOLDER while it is made and FINAL afterwards.
cached_guest() {
    local kind=$1 digest=$2 build=$3 cache folder made began
    cache=$(guest_cache)
    folder=$cache/$kind-$digest
    if [ ! -d "$folder" ]; then
        mkdir -p "$cache"
        chmod 0755 "$cache"
        exec 9>"$cache/$kind.lock"
        flock -n 9 || { say "another process is making the $kind guest; waiting for it"; flock 9; }
        if [ ! -d "$folder" ]; then
            # What a killed builder left, and guests nobody has asked for in two weeks.
            for made in "$cache/.$kind".*; do
                umount -R "$made/work/root" 2>/dev/null || true
                rm -rf --one-file-system "$made"
            done
            find "$cache" -maxdepth 1 -name "$kind-*" -mtime +14 -exec rm -rf {} +
            began=$SECONDS
            made=$(mktemp -d "$cache/.$kind.XXXXXX")
            chmod 0755 "$made"
            "$build" "$made" "$folder" >&2
            mv -T "$made" "$folder"
            say "the $kind guest took $((SECONDS - began)) s to make"
        fi
        exec 9>&-
    fi
    touch "$folder"
    printf '%s\n' "$folder"
}
