#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs an EVM node (anvil), its command-line companion (cast) and a Solidity compiler (solc) outside of the tree, in the
# versions that package.json names, and prints their folder. Exit status 77, with the reason on stderr, when that cannot be
# done here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LC_ALL=C
skip() { printf '%s\n' "$*" >&2; exit 77; }

if [ -n "${BLOCKHOST_CHAIN_CACHE:-}" ]; then cache=$BLOCKHOST_CHAIN_CACHE
elif [ "$(id -u)" -eq 0 ]; then cache=/var/cache/blockhost-chain
else cache=${XDG_CACHE_HOME:-$HOME/.cache}/blockhost-chain
fi
folder=$cache/tools-$(sha256sum "$here/package.json" | cut -c1-16)

if [ ! -d "$folder" ]; then
    command -v npm >/dev/null || skip "npm is not installed"
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    if [ ! -d "$folder" ]; then
        rm -rf "$cache"/.making.*
        made=$(mktemp -d "$cache/.making.XXXXXX")
        cp "$here/package.json" "$made/"
        (cd "$made" && timeout 300 npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error) \
            >"$made/log" 2>&1 </dev/null || skip "npm cannot install them: $(grep -m1 . "$made/log" || echo "no reason")"
        for program in anvil cast; do
            "$made/node_modules/@foundry-rs/$program-linux-amd64/bin/$program" --version >/dev/null ||
                { printf 'npm left %s out, or it does not run here\n' "$program" >&2; exit 1; }
        done
        mv -T "$made" "$folder"
    fi
    exec 9>&-
fi
printf '%s\n' "$folder"
