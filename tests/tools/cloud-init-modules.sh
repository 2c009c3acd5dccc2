#!/bin/sh
# SPDX-License-Identifier: MIT
# Brings cloud-init's own Python modules, netplan's generator and ifupdown into a cache folder, without installing them
# (cloud-init on a host would take the host over at its next boot), and prints that folder: the root of an unpacked file
# system with usr/lib/python3/dist-packages, usr/sbin/netplan, lib/netplan/generate and sbin/ifup in it.
# Downloads once per host and cloud-init version. Exits 1 with the reason on stderr when the packages cannot be had.
set -eu

packages="cloud-init netplan.io libnetplan0 libyaml-0-2 ifupdown
    python3-yaml python3-configobj python3-six python3-jinja2 python3-markupsafe python3-jsonpatch python3-json-pointer
    python3-jsonschema python3-attr python3-pyrsistent python3-oauthlib python3-requests python3-urllib3 python3-idna
    python3-certifi python3-chardet python3-netifaces"
cache=${BLOCKHOST_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/blockhost-tests}

mkdir -p "$cache"
version=$(apt-cache policy cloud-init | sed -n 's/^  Candidate: //p' | tr -c 'A-Za-z0-9.\n+-' _)
if [ -z "$version" ] || [ "$version" = "(none)" ] || [ "$version" = _none_ ]; then
    echo "cloud-init is in none of apt's lists (run apt-get update)" >&2
    exit 1
fi
root=$cache/cloud-init-$version
if [ ! -d "$root" ]; then
    exec 9>"$cache/cloud-init.lock"
    flock 9
fi
if [ ! -d "$root" ]; then
    work=$(mktemp -d "$cache/cloud-init.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/debs" "$work/root"
    # shellcheck disable=SC2086 # a list of words
    if ! (cd "$work/debs" && apt-get download $packages >../log 2>&1); then
        tail -n 3 "$work/log" >&2
        exit 1
    fi
    for deb in "$work"/debs/*.deb; do
        dpkg -x "$deb" "$work/root"
    done
    mv -T "$work/root" "$root"
fi
echo "$root"
