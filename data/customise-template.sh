# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Makes a Debian image the template of BlockHost VMs. virt-customize runs it inside the image, as root, with /bin/sh.
#
# The template packages are in /var/tmp/blockhost-template. The disk that begins with BLOCKHOST-REPORT takes the report:
# "package NAME VERSION" for each package inside, "account NAME" for each user and group, and "done" at the end; or
# "failed DOING" and the log's last lines.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
work=/var/tmp/blockhost-template
log=/tmp/blockhost-template.log
doing="finding the report's disk"
report=
for disk in /dev/sd? /dev/vd?; do
    [ -b "$disk" ] || continue
    if [ "$(head -c 16 "$disk" | tr -d '\000')" = BLOCKHOST-REPORT ]; then report=$disk; fi
done
[ -n "$report" ]

put_report() { dd of="$report" bs=64k conv=fsync,notrunc 2>/dev/null; }

on_exit() {
    status=$?
    if [ "$status" -ne 0 ]; then { echo "failed $doing"; tail -n 30 "$log"; } | put_report; fi
    rm -f "$log"
    exit "$status"
}
trap on_exit EXIT
exec >"$log" 2>&1

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

doing="installing what every VM needs"
missing=
for package in libpam-runtime openssh-server cloud-init qemu-guest-agent sudo curl; do
    installed "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    apt-get -q update
    # shellcheck disable=SC2086  # a list of names
    apt-get -q -y --no-install-recommends install $missing
fi

if [ -d "$work" ]; then
    doing="finding what the template packages need"
    chmod 0755 "$work"
    # Without the archive's lists only what is inside already can be used.
    apt-get -q -s install --allow-downgrades "$work"/*.deb >"$work/plan" || {
        apt-get -q update
        apt-get -q -s install --allow-downgrades "$work"/*.deb >"$work/plan" || { cat "$work/plan"; false; }
    }
    removed=$(sed -n 's/^Remv \([^ ]*\) .*/\1/p' "$work/plan" | tr '\n' ' ')
    doing="installing the template packages, which would remove $removed"
    [ -z "$removed" ]
    doing="installing the template packages"
    apt-get -q -y --no-remove --allow-downgrades -o Dpkg::Options::=--force-confold install "$work"/*.deb
    rm -rf "$work"
fi

doing="setting up sshd"
cat >/etc/ssh/sshd_config.d/50-blockhost.conf <<'END'
ChallengeResponseAuthentication yes
KbdInteractiveAuthentication yes
UsePAM yes
PasswordAuthentication no
PermitRootLogin no
MaxAuthTries 6
LoginGraceTime 60
END
# The first value of a setting counts, so that ours are read before the file's own.
if ! grep -q '^[[:space:]]*Include[[:space:]]*/etc/ssh/sshd_config.d/\*\.conf' /etc/ssh/sshd_config; then
    sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config
fi
sed -i 's/^[[:space:]]*KbdInteractiveAuthentication[[:space:]][[:space:]]*no/#&/' /etc/ssh/sshd_config
ssh-keygen -q -A
mkdir -p /run/sshd
/usr/sbin/sshd -t

doing="setting up cloud-init"
cat >/etc/cloud/cloud.cfg.d/99-blockhost.cfg <<'END'
datasource_list: [NoCloud, None]
END

doing="enabling services"
systemctl enable ssh.service cloud-init-local.service cloud-init.service cloud-config.service cloud-final.service
systemctl enable qemu-guest-agent.service # started by its device; has nothing to enable in Debian 12
systemctl disable systemd-networkd-wait-online.service

doing="writing the report"
{
    dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' | sed -n 's/^installed /package /p'
    cat /etc/passwd /etc/group | sed -n 's/^\([^:+-][^:]*\):.*/account \1/p' | sort -u
    echo "done"
} >/tmp/blockhost-report

doing="cleaning up"
apt-get -q clean
rm -rf /var/lib/apt/lists/*
cloud-init clean --logs
rm -rf /var/lib/cloud /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /var/lib/dbus/machine-id
: >/etc/machine-id
find /var/log -type f -exec truncate -s 0 {} +
rm -f /etc/hostname
put_report </tmp/blockhost-report
rm -f /tmp/blockhost-report
sync
fstrim / || true # what is free need not be stored; not every disk can be told so
