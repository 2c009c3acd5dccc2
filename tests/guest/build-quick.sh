#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The quick guest: Debian's cloud kernel and a few MB of initramfs (busybox, QEMU guest agent) that bring up the network
# from the seed and answer the guest agent within seconds of a direct kernel boot. For counts, races and kills; what a
# guest does is shown on the Debian guest (build-debian.sh).
#
# Prints the folder that holds template.qcow2, vmlinuz, initrd and guest.env (shell assignments GUEST_TEMPLATE,
# GUEST_KERNEL, GUEST_INITRD, GUEST_ARGUMENTS for db.yaml's boot_kernel, boot_initrd, boot_arguments) as stdout's last
# line. Needs: busybox-static qemu-guest-agent qemu-utils kmod cpio.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/guest/lib.sh
. "$here/lib.sh"

modules=(virtio_pci virtio_console virtio_scsi sr_mod isofs virtio_net virtio_blk virtio-rng virtio_balloon button evdev)

# Unpacks the kernel package into folder $1.
unpack_kernel() {
    local folder=$1
    say "fetching $kernel_package"
    (cd "$folder" && apt-get -q=2 -o APT::Sandbox::User=root download "$kernel_package" >&2) || fail "cannot download $kernel_package"
    dpkg-deb -x "$folder"/*.deb "$folder/kernel"
}

# Copies the modules and what they depend on from unpacked kernel $1 into initramfs $2.
copy_modules() {
    local kernel=$1 tree=$2 release module path
    release=$(basename "$kernel"/lib/modules/*)
    depmod -b "$kernel" "$release"
    for module in "${modules[@]}"; do
        modprobe -d "$kernel" -S "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
    done | sort -u | while read -r path; do
        install -D -m 0644 "$path" "$tree${path#"$kernel"}"
    done
    depmod -b "$tree" "$release" 2>/dev/null
}

# Copies a program and the shared libraries it loads into initramfs $2.
copy_program() {
    local program=$1 tree=$2 path
    install -D -m 0755 "$program" "$tree/usr/bin/$(basename "$program")"
    ldd "$program" | grep -o '/[^ ]*' | while read -r path; do
        install -D -m 0755 "$path" "$tree$path"
    done
}

build() {
    local folder=$1 final=$2 work tree
    work=$folder/work
    tree=$work/tree
    mkdir -p "$work" "$tree"/{bin,sbin,proc,sys,dev,run,tmp,root,etc/acpi/PWRF,usr/bin,var/lib}
    unpack_kernel "$work"
    copy_modules "$work/kernel" "$tree"
    install -m 0755 /bin/busybox "$tree/bin/busybox"
    "$tree/bin/busybox" --list | grep -vx busybox | while read -r applet; do ln -s busybox "$tree/bin/$applet"; done
    ln -s /bin/busybox "$tree/sbin/init"
    copy_program /usr/sbin/qemu-ga "$tree"
    install -m 0755 "$here/quick/init" "$tree/init"
    install -m 0755 "$here/quick/first-boot" "$here/quick/agent" "$here/quick/power-button" "$tree/etc/"
    install -m 0644 "$here/quick/inittab" "$here/quick/network-plan.awk" "$tree/etc/"
    install -m 0755 "$here/quick/shutdown" "$tree/sbin/shutdown"
    install -D -m 0755 "$here/quick/usermod" "$tree/usr/sbin/usermod"
    printf '#!/bin/sh\nexec /sbin/shutdown -h\n' >"$tree/etc/acpi/PWRF/00000080"
    chmod 0755 "$tree/etc/acpi/PWRF/00000080"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
    (cd "$tree" && find . -print0 | cpio --null --quiet -o -H newc) | gzip -1 >"$folder/initrd"
    install -m 0644 "$work"/kernel/boot/vmlinuz-* "$folder/vmlinuz"
    qemu-img create -q -f qcow2 -o compat=1.1 "$folder/template.qcow2" 64M
    cat >"$folder/guest.env" <<END
GUEST_TEMPLATE=$final/template.qcow2
GUEST_KERNEL=$final/vmlinuz
GUEST_INITRD=$final/initrd
GUEST_ARGUMENTS="console=ttyS0 no_timer_check quiet"
END
    rm -rf "$work"
}

[ -x /usr/sbin/qemu-ga ] && [ -x /bin/busybox ] || fail "install busybox-static and qemu-guest-agent first"
kernel=$(kernel_candidate) || fail "apt knows no linux-image-cloud-amd64; run apt-get update first"
kernel_package=${kernel% *}
agent_version=$(dpkg-query -W -f '${Version}' qemu-guest-agent)
digest=$(recipe_digest "$kernel $agent_version" "$here/lib.sh" "${BASH_SOURCE[0]}" "$here"/quick/*)
cached_guest quick "$digest" build
