# SPDX-License-Identifier: MIT
"""After a create that succeeded its owner can log in: the login, who it belongs to, and what lets him in."""

import json
import os
import socket
import subprocess
import time

import pytest
from host import BINARY, WALLET, Host, refused

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlAhBlA me@home"


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def behave(host, **knobs):
    host.behave(boot_ms=0, shutdown_ms=0, **knobs)


def nothing_is_left(host):
    return not [p for p in host.everything() if "domains" in p or "vms/" in p or "cloud-init" in p]


def passwd_of(host, name="vm-1", user="admin"):
    return host.run("guest-exec", "--mock", name, f"getent passwd {user}").stdout


# What the guest has in the end

@pytest.mark.parametrize("cloud_init", ["done", "errors", "running", "waits"])
@pytest.mark.parametrize("login, words", [("missing", "no user admin"), ("other's", "is not the owner's"),
                                          ("keyless", "does not have the SSH key")])
def test_a_guest_that_nobody_can_log_into_is_undone(host, cloud_init, login, words):
    behave(host, cloud_init=cloud_init, login=login)
    (host.folder / "key.pub").write_text(KEY + "\n")
    run = host.create("vm-1", "--ssh-key", "key.pub", "--ready-timeout", "1")
    refused(host, run, words)
    assert json.loads(run.stdout)["status"] == "error"
    if cloud_init == "errors":
        assert "RuntimeError('simulated')" in run.stderr
    assert nothing_is_left(host)
    behave(host)
    assert host.create("vm-1", "--ssh-key", "key.pub").returncode == 0


def test_the_login_has_its_owner_and_its_keys(host):
    behave(host)
    (host.folder / "key.pub").write_text(KEY + "\n")
    assert host.create("vm-1", "--ssh-key", "key.pub", "--nft-token-id", "9").returncode == 0
    assert passwd_of(host).split(":")[4] == f"wallet={WALLET},nft=9"
    keys = host.run("guest-exec", "--mock", "vm-1", "cat /home/admin/.ssh/authorized_keys")
    assert keys.stdout == KEY + "\n"


@pytest.mark.parametrize("kind", ["running", "waits"])
def test_cloud_init_that_is_not_done_at_the_deadline_is_a_warning_once_the_login_is_there(host, kind):
    behave(host, cloud_init=kind)
    run = host.create("vm-1", "--ready-timeout", "1")
    assert run.returncode == 0, run.stderr
    assert "WARNING" in run.stderr and "had not finished after 1 s" in run.stderr and "its login is there" in run.stderr
    if kind == "waits":
        assert "it waits for slow.service" in run.stderr


@pytest.mark.parametrize("kind", ["running", "waits"])
def test_a_login_that_comes_late_is_waited_for(host, kind):
    behave(host, cloud_init=kind, login_ms=3500)
    run = host.create("vm-1", "--ready-timeout", "3")
    assert run.returncode == 0, run.stderr
    assert "has not made the login admin within 3 s" in run.stderr and "its login is there" in run.stderr
    assert passwd_of(host)


def test_a_login_that_does_not_come_is_given_up_after_as_long_again(host):
    behave(host, cloud_init="running", login="missing")
    began = time.monotonic()
    run = host.create("vm-1", "--ready-timeout", "2")
    refused(host, run, "no login within 4 s: the guest has no user admin")
    assert time.monotonic() - began < 60
    assert nothing_is_left(host)


def test_a_cloud_init_that_systemd_will_not_run_again_has_failed(host):
    behave(host, cloud_init="stopped")
    refused(host, host.create("vm-1", "--ready-timeout", "11"), "its final stage never ran")
    assert nothing_is_left(host)


# User-data of the caller's own

def test_user_data_that_names_no_login_is_taken_with_a_warning(host):
    behave(host)
    (host.folder / "data").write_text("#cloud-config\npackages: [nginx]\n")
    run = host.create("vm-1", "--cloud-init-content", "data")
    assert run.returncode == 0, run.stderr
    assert "WARNING: vm-1: the guest has no user admin" in run.stderr


def test_user_data_that_names_the_login_must_bring_it(host):
    behave(host, login="missing")
    (host.folder / "data").write_text("#cloud-config\nusers:\n  - name: carol\n")
    refused(host, host.create("vm-1", "--cloud-init-content", "data", "--username", "carol"), "no user carol")
    assert nothing_is_left(host)


@pytest.mark.parametrize("content, words", [
    (b"", "is empty"), (b" \n\n", "is empty"), (b"\xef\xbb\xbf#cloud-config\nusers: []\n", "byte order mark"),
    (b"users:\n  - name: admin\n", "no header"), (b"# mine\n#cloud-config\n", "no header")])
@pytest.mark.parametrize("apply", [True, False])
def test_user_data_that_cloud_init_would_ignore_is_refused(host, content, words, apply):
    (host.folder / "data").write_bytes(content)
    refused(host, create(host, apply, "--cloud-init-content", "data"), words)


@pytest.mark.parametrize("content, words", [(b"", "nft-auth.yaml is empty"), (b"users: []\n", "the login template has no header"),
                                            (b"\xef\xbb\xbf#cloud-config\n", "the login template begins with a byte order")])
def test_an_engines_template_that_cloud_init_would_ignore_is_refused(host, content, words):
    templates = host.folder / "root/usr/share/blockhost/cloud-init/templates"
    templates.mkdir(parents=True)
    (templates / "nft-auth.yaml").write_bytes(content)
    refused(host, create(host, True), words)
    assert nothing_is_left(host)


def test_user_data_that_is_no_yaml_is_warned_of_with_its_place(host):
    behave(host)
    (host.folder / "data").write_text("#cloud-config\nusers: [\n")
    run = host.create("vm-1", "--cloud-init-content", "data")
    assert run.returncode == 0 and "no YAML that cloud-init could read: line " in run.stderr


def create(host, apply, *more):
    words = ["create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock", *more]
    return host.run(*words, *(["--apply"] if apply else []))


# Names

@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("name", ["root", "daemon", "www-data", "sshd", "messagebus", "sudo", "systemd-network", "_apt"])
def test_a_name_that_debian_has_is_refused(host, name, apply):
    refused(host, create(host, apply, "--username", name), "--username", name)
    assert nothing_is_left(host)


def test_the_names_that_a_template_has_are_those_of_its_manifest(host):
    behave(host)
    assert create(host, False).returncode == 0  # makes the simulated world's template
    (host.folder / "mock-world/templates/blockhost-base.json").write_text(json.dumps({"accounts": ["root", "carol"]}))
    refused(host, create(host, True, "--username", "carol"), "carol")
    assert create(host, True, "--username", "messagebus").returncode == 0


# Key files

def keys_of(host, name="vm-1"):
    return host.run("guest-exec", "--mock", name, "cat /home/admin/.ssh/authorized_keys").stdout.splitlines()


@pytest.mark.parametrize("content, words", [
    ("", "is empty"), ("\n", "is empty"), ("# nothing\n", "no key in it"), ("ssh-ed25519 AAAA=\n", "line 1"),
    ("ssh-rsa" + KEY[len("ssh-ed25519"):], "another type's"), ("\ufeff" + KEY, "byte order mark"),
    (KEY + "\nssh-ed25519 \n", "line 2"), ("-----BEGIN OPENSSH" " PRIVATE KEY-----\nAAAA", "private key")])
@pytest.mark.parametrize("apply", [True, False])
def test_what_is_no_key_is_refused_by_name(host, content, words, apply):
    (host.folder / "key.pub").write_text(content)
    last = refused(host, create(host, apply, "--ssh-key", "key.pub"), "SSH key", words)
    assert "AAAAC3" not in last
    assert nothing_is_left(host)


@pytest.mark.parametrize("content, keys", [
    (KEY.replace(" ", "\t") + "\n", 1), (KEY.replace(" ", "  "), 1), ("# mine\n\n" + KEY + " müller ✓\n", 1),
    (KEY + "\r\n", 1), (KEY + "\n" + 'from="10.0.0.0/8" ' + KEY + "\n", 2)])
def test_key_files_are_read_as_openssh_reads_them(host, content, keys):
    behave(host)
    (host.folder / "key.pub").write_text(content)
    run = create(host, True, "--ssh-key", "key.pub")
    assert run.returncode == 0, run.stderr
    assert len(keys_of(host)) == keys


@pytest.mark.parametrize("line", ['"$0" "$@" --ssh-key <(cat key.pub)', '"$0" "$@" --ssh-key /dev/stdin <key.pub',
                                  'cat key.pub | "$0" "$@" --ssh-key /dev/stdin', '"$0" "$@" --ssh-key /dev/fd/7 7<key.pub',
                                  '"$0" "$@" --cloud-init-content <(sleep 0.5; cat data)',
                                  'cat data | "$0" "$@" --cloud-init-content /dev/stdin'])
def test_what_a_shell_makes_of_files_is_read(host, line):
    behave(host)
    (host.folder / "key.pub").write_text(KEY + "\n")
    (host.folder / "data").write_text("#cloud-config\nusers:\n  - name: admin\n")
    run = subprocess.run(["bash", "-c", line, BINARY, "create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk",
                          "4", "--mock", "--apply"], env=host.env, cwd=host.folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert passwd_of(host)


def test_a_socket_as_stdin_is_read_too(host):
    behave(host)
    ours, theirs = socket.socketpair()
    ours.sendall(KEY.encode() + b"\n")
    ours.shutdown(socket.SHUT_WR)
    run = subprocess.run([BINARY, "create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock",
                          "--apply", "--ssh-key", "/dev/stdin"], env=host.env, cwd=host.folder, capture_output=True,
                         text=True, stdin=theirs)
    assert run.returncode == 0, run.stderr
    assert keys_of(host) == [KEY]


def test_a_fifo_without_a_writer_is_given_up(host):
    os.mkfifo(host.folder / "fifo")
    refused(host, create(host, True, "--ssh-key", "fifo"), "nothing came from fifo")
