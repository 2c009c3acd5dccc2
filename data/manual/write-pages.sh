#!/bin/sh
# SPDX-License-Identifier: MIT
# write-pages.sh PROGRAM FOLDER PAGE...: writes each manual page, as the program prints it, to FOLDER/PAGE.
set -eu
program=$1 folder=$2
shift 2
for page; do
    name=${page%.8}
    if [ "$name" = blockhost-libvirt ]; then
        "$program" __dump man >"$folder/$page"
        continue
    fi
    verb=${name#blockhost-}
    for before in libvirt vm provisioner; do verb=${verb#"$before"-}; done
    "$program" __dump man "$verb" >"$folder/$page"
done
