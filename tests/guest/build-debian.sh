#!/usr/bin/env bash
# The Debian guest: bookworm with systemd, cloud-init, QEMU guest agent, sshd and netplan on an ext4 partition that boots
# by itself (extlinux), made from this machine's own Debian package sources. The quickstart's template, and the guest on
# which the system suite shows what a guest does.
#
# Prints the folder that holds template.qcow2, vmlinuz, initrd and guest.env (shell assignments GUEST_TEMPLATE,
# GUEST_KERNEL, GUEST_INITRD, GUEST_ARGUMENTS for a direct kernel boot) as stdout's last line.
# Needs root, loop devices, and the packages mmdebstrap extlinux e2fsprogs fdisk qemu-utils.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/guest/lib.sh
. "$here/lib.sh"

suite=bookworm
disk_mib=3072 # sparse; cloud-init grows the partition and the file system to the VM's disk
packages=linux-image-cloud-amd64,systemd-sysv,udev,dbus,cloud-init,cloud-guest-utils,qemu-guest-agent
packages+=,openssh-server,sudo,netplan.io,iproute2,iputils-ping
# The partition is found by label so that the same disk boots on virtio, SATA or by direct kernel boot.
root_label=blockhost-root
arguments="root=LABEL=$root_label ro console=tty0 console=ttyS0,115200 net.ifnames=0 no_timer_check quiet"

# In a mount namespace of its own: whatever ends this script, the kernel unmounts and frees the loop device. In a plain
# chroot, whose root is no mount point, mounts cannot be made private.
if [ -z "${BLOCKHOST_GUEST_NAMESPACE:-}" ]; then
    [ "$(id -u)" -eq 0 ] || fail "making the Debian guest needs root"
    propagation=private
    unshare --mount --propagation private true 2>/dev/null || propagation=unchanged
    BLOCKHOST_GUEST_NAMESPACE=1 exec unshare --mount --propagation "$propagation" "$0" "$@"
fi
unset BLOCKHOST_GUEST_NAMESPACE

# This machine's own sources for the suite, as one-line entries; Debian's main archive where it has none.
package_sources() {
    local found keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck disable=SC2016  # apt's own placeholders
    found=$(apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
        awk -F'|' -v suite="$suite" -v keyring="$keyring" \
            '$1 == "Debian" && index($2, suite) == 1 && $5 == "main" && !seen[$0]++ \
                { printf "deb [signed-by=%s] %s %s %s\n", keyring, $3, $4, $5 }')
    printf '%s\n' "$found"
}

# What the installed system needs beyond its packages; root folder in $1.
configure() {
    local root=$1
    cat >"$root/etc/cloud/cloud.cfg.d/90-blockhost.cfg" <<'END'
datasource_list: [NoCloud, None]
locale: false
ssh_genkeytypes: [ed25519]
END
    printf 'LABEL=%s / ext4 errors=remount-ro 0 1\n' "$root_label" >"$root/etc/fstab"
    # Host keys are made at first boot by cloud-init, machine-id by systemd.
    rm -f "$root"/etc/ssh/ssh_host_*_key*
    : >"$root/etc/machine-id"
    rm -f "$root/var/lib/dbus/machine-id" "$root/etc/hostname"
    # What slows the first minutes of a VM and is of no use to a guest of tests and demonstrations.
    chroot "$root" systemctl --quiet disable e2scrub_reap.service e2scrub_all.timer apt-daily.timer \
        apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/lib/cloud/* "$root"/var/log/*.log
    install -d "$root/boot/extlinux"
    cat >"$root/boot/extlinux/extlinux.conf" <<END
SERIAL 0 115200
DEFAULT debian
PROMPT 0
TIMEOUT 0
LABEL debian
  LINUX /vmlinuz
  INITRD /initrd.img
  APPEND $arguments
END
}

# A partitioned disk image $1 with an empty file system, mounted on $2. By offset: not every kernel looks for partitions
# on a loop device.
make_disk() {
    local image=$1 root=$2 start_mib=1
    truncate -s "${disk_mib}M" "$image"
    printf 'label: dos\nstart=%sMiB, type=83, bootable\n' "$start_mib" | sfdisk --quiet "$image"
    dd if=/usr/lib/EXTLINUX/mbr.bin of="$image" bs=440 count=1 conv=notrunc status=none
    # extlinux reads no 64bit ext4.
    mkfs.ext4 -q -F -L "$root_label" -O ^64bit -E "offset=$((start_mib << 20)),lazy_itable_init=1" \
        "$image" "$((disk_mib - start_mib))M"
    mount -o "loop,offset=$((start_mib << 20)),noatime,nobarrier" "$image" "$root"
}

build() {
    local folder=$1 final=$2 work=$1/work sources=()
    mkdir -p "$work/root"
    mapfile -t sources < <(package_sources)
    make_disk "$work/disk.raw" "$work/root"
    say "installing $suite (about a minute)"
    mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
        --skip=check/empty \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='force-unsafe-io' \
        "$suite" "$work/root" "${sources[@]}" || fail "mmdebstrap failed"
    say "making it bootable"
    configure "$work/root"
    extlinux --install "$work/root/boot/extlinux" >/dev/null 2>&1 || fail "extlinux failed"
    install -m 0644 "$work"/root/boot/vmlinuz-* "$folder/vmlinuz"
    install -m 0644 "$work"/root/boot/initrd.img-* "$folder/initrd"
    fstrim "$work/root" 2>/dev/null || true
    umount "$work/root"
    qemu-img convert -q -O qcow2 -o compat=1.1 "$work/disk.raw" "$folder/template.qcow2"
    cat >"$folder/guest.env" <<END
GUEST_TEMPLATE=$final/template.qcow2
GUEST_KERNEL=$final/vmlinuz
GUEST_INITRD=$final/initrd
GUEST_ARGUMENTS="$arguments"
END
    rm -rf "$work"
}

kernel=$(kernel_candidate) || fail "apt knows no linux-image-cloud-amd64; run apt-get update first"
digest=$(recipe_digest "$suite $kernel" "$here/lib.sh" "${BASH_SOURCE[0]}")
cached_guest debian "$digest" build
