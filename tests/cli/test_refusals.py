# SPDX-License-Identifier: MIT
"""What a stranger gets for wrong input: one clear sentence, what to do about it, and nothing changed."""

import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
from host import BAD_NAMES, BINARY, Host, WALLET, refused


@pytest.fixture()
def host(tmp_path):
    return Host(tmp_path)


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("verb", ["create", "destroy", "start", "stop", "kill"])
def test_bad_names_are_refused_by_every_changing_verb(host, verb, name):
    more = ("--owner-wallet", WALLET) if verb == "create" else ()
    run = host.run(verb, *more, "--mock", "--", name)
    refused(host, run, "Invalid VM name")
    assert host.everything() == {}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_status_of_a_bad_name_is_unknown(host, name):
    run = host.run("status", "--mock", "--", name)
    assert (run.returncode, run.stdout) == (0, "unknown\n")


@pytest.mark.parametrize("wallet", ["", "0x'; drop", "a,b", "a\nb", "x" * 10240, "0x:1", "ü", "a b", '"'])
def test_bad_wallets_are_refused(host, wallet):
    refused(host, host.create(wallet=wallet), "wallet")
    assert host.everything() == {}


def test_the_engines_wallet_pattern_is_applied(host):
    share = host.folder / "root/usr/share/blockhost"
    share.mkdir(parents=True)
    (share / "engine.json").write_text(json.dumps({"constraints": {"address_pattern": "^0x[0-9a-fA-F]{40}$"}}))
    refused(host, host.create(wallet="0x12"), "wallet")
    assert host.everything() == {}


def test_an_engine_without_its_login_template_is_an_error(host):
    share = host.folder / "root/usr/share/blockhost"
    share.mkdir(parents=True)
    (share / "engine.json").write_text("{}")
    refused(host, host.create(), "nft-auth.yaml")
    assert not [p for p in host.everything() if "domains" in p or "vms/" in p]


@pytest.mark.parametrize("words, hint", [
    (("--username", "Root"), "username"), (("--username", "a" * 33), "username"), (("--username", "a:b"), "username"),
    (("--cpu", "0"), "cpu"), (("--cpu", "513"), "cpu"), (("--cpu", "4294967297"), "cpu"),
    (("--memory", "abc"), "memory"), (("--memory", "63"), "memory"), (("--memory", "-1"), "memory"),
    (("--memory", "1e3"), "memory"), (("--memory", "9999999999999999999999"), "memory"), (("--memory=",), "memory"),
    (("--disk", "1"), "disk"), (("--disk", "65537"), "disk"), (("--expiry-days", "0"), "expiry-days"),
    (("--expiry-days", "3651"), "expiry-days"), (("--cloud-init-content", "/nowhere"), "/nowhere"),
    (("--ssh-key", "/nowhere"), "/nowhere"), (("--nft-token-id", "x"), "nft-token-id"),
])
def test_values_out_of_bounds_are_refused_with_the_option_named(host, words, hint):
    refused(host, host.create("vm-1", *words), hint)
    assert host.everything() == {}


@pytest.mark.parametrize("words", [
    ("create",), ("create", "vm-1"), ("create", "vm-1", "--owner-wallet"), ("create", "vm-1", "--nonsense"),
    ("create", "a", "b", "--owner-wallet", WALLET), ("destroy",), ("destroy", "a", "b"), ("start", "--wrong"),
    ("recover",), ("nonsense",), (),
])
def test_malformed_usage_exits_2_with_the_usage(host, words):
    run = host.run(*words)
    assert run.returncode == 2, run.stderr
    assert "usage" in run.stderr.lower() or "help" in run.stderr.lower()
    assert run.stdout == "" or words == ()


def test_a_misspelt_verb_or_option_gets_the_nearest_as_hint(host):
    assert "destroy" in host.run("destory", "x").stderr
    assert "--memory" in host.run("create", "x", "--owner-wallet", WALLET, "--memroy", "5").stderr


@pytest.mark.parametrize("words", [(), ("a", "b"), ("--nonsense",)])
def test_status_answers_unknown_to_malformed_usage(host, words):
    run = host.run("status", *words)
    assert (run.returncode, run.stdout) == (0, "unknown\n")


def test_list_answers_an_empty_array_to_malformed_usage(host):
    run = host.run("list", "--format", "json", "surplus")
    assert (run.returncode, run.stdout) == (0, "[]\n")


def test_a_missing_db_yaml_names_the_wizard(host):
    (host.etc / "db.yaml").unlink()
    refused(host, host.create(), "Config not found", "run wizard first")
    run = host.run("list", "--json", "--mock")
    assert (run.returncode, run.stdout) == (0, "[]\n")


@pytest.mark.parametrize("text, words", [
    ("bridge: [br0\nother: 1\n", ("line",)), ("ip_pool: {network: 10.9.9.0/33}\n", ("network", "line 1")),
    ("bridge: br0\nip_pool:\n  network: 10.9.9.0/24\n  start: 50\n  end: 20\n", ("start",)),
    ("memory_overcommit: lots\n", ("memory_overcommit", "line 1")), ("domain_type: xen\n", ("domain_type",)),
    ("- just\n- a list\n", ("db.yaml",)),
])
def test_a_wrong_db_yaml_is_named_with_line_and_column(host, text, words):
    (host.etc / "db.yaml").write_text(text)
    refused(host, host.create(), "db.yaml", *words)
    assert host.everything() == {}


def test_an_unreadable_db_yaml_is_an_error_not_an_absence(host):
    (host.etc / "db.yaml").unlink()
    (host.etc / "db.yaml").mkdir()
    run = host.create()
    refused(host, run, "db.yaml")
    assert "Config not found" not in run.stderr


def test_two_network_modes_are_refused(host):
    (host.etc / "network-modes.enabled/broker.json").write_text("{}")
    refused(host, host.create(), "none", "broker")


def test_no_network_mode_is_refused(host):
    (host.etc / "network-modes.enabled/none.json").unlink()
    refused(host, host.create(), "network")


def test_an_exhausted_pool_is_refused(host):
    for i in range(3):
        assert host.create(f"vm-{i}").returncode == 0
    before = host.everything()
    refused(host, host.create("vm-9"), "No IPv4 addresses available in pool")
    assert {k: v for k, v in host.everything().items() if "history" not in k} == before


def test_a_prefix_that_is_too_small_gives_no_ipv6(host):
    (host.etc / "broker-allocation.json").write_text('{"prefix": "fd00:1::/127"}')
    run = host.create()
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["ipv6"] == ""
    assert "WARNING: no IPv6 address is free: fd00:1::/127 has none left" in run.stderr


def test_a_prefix_that_is_used_up_is_said_by_the_dry_run_and_by_the_create(host):
    (host.etc / "db.yaml").write_text("bridge: br0\nip_pool: {network: 10.9.9.0/24, start: 10, end: 20, gateway: 10.9.9.1}\n"
                                      "ipv6_pool: {start: 2, end: 3}\n")
    (host.etc / "broker-allocation.json").write_text('{"prefix": "fd00:1::/120"}')
    for name in ("vm-1", "vm-2"):
        run = host.create(name)
        assert run.returncode == 0 and "no IPv6 address is free" not in run.stderr, run.stderr
    dry = host.run("create", "vm-3", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock")
    for run in (dry, host.create("vm-3")):
        assert run.returncode == 0 and json.loads(run.stdout.splitlines()[-1])["ipv6"] == ""
        assert "no IPv6 address is free: fd00:1::/120 has none left at 2 to 3 (ipv6_pool in db.yaml)" in run.stderr


def share(host):
    folder = host.folder / "root/usr/share/blockhost"
    (folder / "cloud-init/templates").mkdir(parents=True)
    return folder


TORN = {
    "db.yaml": ("bridge: br0\nip_po", "line 2, column 1"),
    "web3-defaults.yaml": ("auth: {otp_length: ", "line 1, column"),
    "broker-allocation.json": ('{"prefix": "fd00:1::/12', "line 1, column"),
    "engine.json": ('{"constraints": {\n"address_pattern": "^0x', "line 2, column"),
    "network-mode": ("no mode\nat all", "is not a network mode"),
}


def config_file(host, name):
    if name == "network-mode":
        (host.etc / "network-modes.enabled/none.json").unlink()
    return share(host) / name if name == "engine.json" else host.etc / name


@pytest.mark.parametrize("name", TORN)
def test_a_torn_configuration_file_is_named_with_its_place_and_nothing_is_made(host, name):
    torn, place = TORN[name]
    config_file(host, name).write_text(torn)
    refused(host, host.create(), name, place)
    assert host.everything() == {}


@pytest.mark.parametrize("name", [*TORN, "nft-auth.yaml"])
@pytest.mark.parametrize("how", ["empty", "blank", "folder"])
def test_an_empty_or_unreadable_configuration_file_is_not_an_absent_one(host, name, how):
    path = share(host) / "cloud-init/templates/nft-auth.yaml" if name == "nft-auth.yaml" else config_file(host, name)
    path.unlink(missing_ok=True)
    path.mkdir() if how == "folder" else path.write_text("" if how == "empty" else " \n\n")
    refused(host, host.create(), name, "is a directory" if how == "folder" else "is empty")
    dry = host.run("create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock")
    refused(host, dry, name)
    assert not [p for p in host.everything() if "domains" in p or "vms/" in p or "cloud-init" in p]


@pytest.mark.parametrize("prefix, why", [("fe80::/64", "link-local"), ("ff02::/64", "multicast"), ("::1/128", "loopback"),
                                         ("fd00::", "expected an IPv6 prefix"), ("10.0.0.0/8", "expected an IPv6 prefix")])
def test_a_prefix_whose_addresses_no_machine_can_have_is_refused(host, prefix, why):
    (host.etc / "broker-allocation.json").write_text(json.dumps({"prefix": prefix}, indent=1))
    refused(host, host.create(), "broker-allocation.json: line 2, column 12: prefix: ", why)
    assert host.everything() == {}


@pytest.mark.parametrize("network, why", [("127.0.0.0/24", "loopback"), ("224.0.0.0/24", "multicast"),
                                          ("169.254.0.0/16", "link-local"), ("0.0.0.0/0", "no machine")])
def test_a_pool_whose_addresses_no_machine_can_have_is_refused(host, network, why):
    (host.etc / "db.yaml").write_text(f"bridge: br0\nip_pool:\n  network: {network}\n")
    refused(host, host.create(), "db.yaml: line 3, column 12: ip_pool.network: ", why)
    assert host.everything() == {}


@pytest.mark.parametrize("allocation", ['{"prefix": ""}', '{"prefix": "", "broker_node": "", "registry": "", "mode": "manual"}'])
def test_the_empty_prefix_of_manual_mode_means_no_ipv6(host, allocation):
    (host.etc / "broker-allocation.json").write_text(allocation)
    run = host.create()
    assert run.returncode == 0 and json.loads(run.stdout.splitlines()[-1])["ipv6"] == "" and "IPv6" not in run.stderr


def test_a_taken_name_is_refused_and_a_destroyed_one_is_free(host):
    assert host.create().returncode == 0
    before = host.everything()
    refused(host, host.create(), "VM already exists in database: vm-1 (status: active)")
    assert host.everything() == before
    assert host.run("destroy", "vm-1", "--mock").returncode == 0
    assert host.create().returncode == 0


@pytest.mark.parametrize("text", ["", "{", '{"vms": {}} trailing', '{"vms": []}', "null", '{"vms": {},}'])
def test_a_torn_registry_is_refused_and_left_alone(host, text):
    (host.folder / "mock-db.json").write_text(text)
    refused(host, host.create(), "mock-db.json")
    assert (host.folder / "mock-db.json").read_text() == text
    refused(host, host.run("destroy", "vm-1", "--mock"), "mock-db.json")
    assert (host.folder / "mock-db.json").read_text() == text
    run = host.run("list", "--json", "--mock")
    assert (run.returncode, run.stdout) == (0, "[]\n")


def test_a_missing_template_says_how_to_build_it(host):
    """Not simulated: the simulated world brings its own template."""
    run = host.run("create", "vm-1", "--owner-wallet", WALLET, "--apply")
    refused(host, run, "Template not found", "blockhost-build-template")
    assert not (host.folder / "root/var/lib/blockhost/vms.json").exists()


def behave(host, **knobs):
    (host.folder / "mock-world").mkdir(exist_ok=True)
    (host.folder / "mock-world/behaviour.json").write_text(json.dumps(knobs))


def test_a_host_without_memory_for_one_more_is_refused_with_figures(host):
    behave(host, host_memory_mib=1400)
    assert host.create("vm-1").returncode == 0
    assert host.create("vm-2").returncode == 0
    before = host.everything()
    refused(host, host.create("vm-3"), "not enough memory", "256 MiB", "376 MiB")
    assert host.everything() == before


def test_a_pool_without_room_is_refused_with_figures(host):
    assert host.create("vm-1").returncode == 0
    behave(host, pool_available=100 << 20)
    refused(host, host.create("vm-2"), "not enough room", "100 MiB")


def test_a_hypervisor_that_is_down_is_said_and_nothing_changes(host):
    assert host.create("vm-1").returncode == 0
    behave(host, down=True)
    before = host.everything()
    for words in (("start", "vm-1"), ("stop", "vm-1"), ("kill", "vm-1"), ("destroy", "vm-1")):
        refused(host, host.run(*words, "--mock"), "reach")
    refused(host, host.create("vm-2"), "reach")
    assert host.run("status", "vm-1", "--mock").stdout == "unknown\n"
    assert json.loads(host.run("list", "--json", "--mock").stdout)[0]["status"] == "active"
    assert host.everything() == before


@pytest.mark.parametrize("verb", ["create", "destroy", "start", "stop", "kill", "status", "list", "recover"])
def test_a_libvirt_without_a_socket_is_said_by_each_verb_and_nothing_changes(host, verb):
    words = {"create": ("create", "vm-1", "--owner-wallet", WALLET, "--apply"), "list": ("list",),
             "recover": ("recover", "--all")}.get(verb, (verb, "vm-1"))
    (host.folder / "root/var/lib/blockhost/templates").mkdir(parents=True)
    template = host.folder / "root/var/lib/blockhost/templates/blockhost-base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", template, "64M"], check=True)
    uri = f"qemu+unix:///system?socket={host.folder}/no-such-socket"
    run = host.run(*words, BLOCKHOST_LIBVIRT_URI=uri)
    if verb == "status":
        assert (run.returncode, run.stdout) == (0, "unknown\n")
        assert "reach" in run.stderr
    elif verb == "list":
        assert run.returncode == 0
    elif verb == "recover":  # whether an empty state folder is all there is, only libvirt's domains can tell
        assert run.returncode == 12 and "reach" in run.stderr, run.stderr
    else:
        assert run.returncode == 1 and ("reach" in run.stderr or "not a bridge" in run.stderr), run.stderr
    assert not (host.folder / "root/var/lib/blockhost/vms.json").exists()


def test_a_silent_libvirt_is_given_up_within_ten_seconds(host):
    """A socket that accepts and never answers, as a stopped daemon does."""
    path = host.folder / "silent.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(8)
    run = subprocess.run([BINARY, "status", "vm-1"], env=host.env | {
        "BLOCKHOST_LIBVIRT_URI": f"qemu+unix:///system?socket={path}"}, capture_output=True, text=True, timeout=12,
        cwd=host.folder)
    assert (run.returncode, run.stdout) == (0, "unknown\n")
    assert "does not answer" in run.stderr


def test_a_result_that_nobody_takes_is_undone(host):
    """stdout is full: the engine never got its result, so there must be no VM."""
    with open("/dev/full", "w") as full:
        run = subprocess.run([BINARY, "create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock",
                              "--apply"], env=host.env, cwd=host.folder, stdout=full, stderr=subprocess.PIPE, text=True)
    assert run.returncode == 1
    assert not [p for p in host.everything() if "domains" in p or "vms/" in p or "cloud-init" in p]
    assert json.loads((host.folder / "mock-db.json").read_text())["allocated_ips"] == []


def test_the_earlier_generations_mint_flags_are_accepted_and_ignored(host):
    run = host.create("vm-1", "--no-mint", "--skip-mint", "--user-signature", "0xab", "--public-secret", "s")
    assert run.returncode == 0, run.stderr


def test_list_leaves_out_records_with_bad_names_and_warns_once(host):
    assert host.create("vm-1").returncode == 0
    path = host.folder / "mock-db.json"
    registry = json.loads(path.read_text())
    registry["vms"]["<script>"] = dict(registry["vms"]["vm-1"], vm_name="<script>")
    path.write_text(json.dumps(registry))
    run = host.run("list", "--json", "--mock")
    assert [v["name"] for v in json.loads(run.stdout)] == ["vm-1"]
    assert len(run.stderr.strip().splitlines()) == 1


def test_foreign_keys_survive_every_rewrite(host):
    assert host.create("vm-1").returncode == 0
    path = host.folder / "mock-db.json"
    text = path.read_text()
    text = text.replace('"next_vmid"', '"big": 123456789012345678901234567890,\n  "spelt": 1.10,\n  "next_vmid"', 1)
    path.write_text(text)
    assert host.create("vm-2").returncode == 0
    after = path.read_text()
    assert '"big": 123456789012345678901234567890,\n  "spelt": 1.10,\n  "next_vmid"' in after
    assert host.run("destroy", "vm-1", "--mock").returncode == 0
    assert '"spelt": 1.10' in path.read_text()
    assert json.loads(path.read_text())["vms"]["vm-1"]["status"] == "destroyed"


@pytest.mark.parametrize("place", ["db.yaml", "broker-allocation.json"])
def test_a_fifo_in_place_of_a_file_keeps_nobody_waiting(host, place):
    (host.etc / place).unlink(missing_ok=True)
    os.mkfifo(host.etc / place)
    run = subprocess.run([BINARY, "create", "vm-1", "--owner-wallet", WALLET, "--mock", "--disk", "4"], env=host.env,
                         cwd=host.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=10)
    refused(host, run, place, "not a regular file")


def test_an_empty_db_yaml_is_a_torn_one(host):
    (host.etc / "db.yaml").write_text("")
    refused(host, host.create(), "db.yaml", "empty")


def test_merge_keys_count_as_other_yaml_readers_count_them(host):
    (host.etc / "db.yaml").write_text("d: &d {network: 10.9.9.0/24, start: 10, end: 12, gateway: 10.9.9.1}\n"
                                      "bridge: br0\nip_pool:\n  <<: *d\n  start: 11\n")
    run = host.create()
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["ip"] == "10.9.9.11"


def test_the_older_name_of_the_prefix_is_read(host):
    (host.etc / "broker-allocation.json").write_text('{"ipv6_prefix": "2a11::/120"}')
    assert json.loads(host.create().stdout.splitlines()[-1])["ipv6"] == "2a11::2"


def test_a_bad_ssh_key_is_refused_by_a_dry_run_too(host):
    run = host.run("create", "vm-1", "--owner-wallet", WALLET, "--mock", "--disk", "4", "--ssh-key", "/etc/passwd")
    refused(host, run, "SSH key")


def test_status_answers_unknown_where_it_may_not_write_its_simulated_world():
    if os.geteuid() != 0:
        pytest.skip("only root can call the program as somebody else")
    folder = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        run = subprocess.run([*nobody, BINARY, "status", "x", "--mock"], env=Host(folder).env, cwd=folder,
                             capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (0, "unknown\n")
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("number", [1, 2, 3, 10, 12, 14, 15, 24, 26, 27, 29, 30])
def test_a_create_that_is_hung_up_interrupted_or_terminated_is_undone(host, number):
    behave(host, agent="silent")
    run = subprocess.Popen([BINARY, "create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock",
                            "--apply"], env=host.env, cwd=host.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))  # not as under nohup
    for line in run.stderr:
        if "waiting for the guest agent" in line:
            break
    run.send_signal(number)
    out, _ = run.communicate()
    assert run.returncode == 128 + number
    assert json.loads(out)["status"] == "error"
    assert not [p for p in host.everything() if "domains" in p or "vms/" in p or "cloud-init" in p]


@pytest.mark.parametrize("most", [0, 300, 1000, 2500])
def test_a_create_whose_files_may_not_grow_fails_and_is_undone(host, most):
    """SIGXFSZ is no death: what is written fails, and the create is undone, now or by recover."""
    assert host.create("other").returncode == 0
    before = host.everything()
    run = subprocess.run([BINARY, "create", "vm-1", "--owner-wallet", WALLET, "--memory", "128", "--disk", "4", "--mock",
                          "--apply"], env=host.env, cwd=host.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
    assert run.returncode == 1, (run.returncode, run.stderr)
    assert "File too large" in run.stderr and "filesystem error" not in run.stderr
    assert host.run("recover", "--all", "--mock").returncode == 0
    assert {path: kept for path, kept in host.everything().items() if "history" not in path} == before
    assert host.create().returncode == 0


@pytest.mark.parametrize("words", [("list",), ("status", "x"), ("create", "x", "--owner-wallet", WALLET, "--apply"),
                                   ("destroy", "x"), ("metrics", "--all"), ("gc",), ("recover", "--all"), ("boot",),
                                   ("templates",), ("detect", "--explain"), ("setup", "storage"), ("throttle", "--due")])
def test_a_file_in_place_of_the_simulated_world_is_said_in_words_of_ours(host, words):
    (host.folder / "mock-world").write_text("a file")
    run = host.run(*words, "--mock")
    for nobodys in ("filesystem error", "terminate called", "std::", "basic_string", "what()", "fault of its own"):
        assert nobodys not in run.stdout + run.stderr, run.stderr
    assert run.returncode == 0 or "mock-world" in run.stdout + run.stderr  # some have nothing to look at there
    assert (host.folder / "mock-world").read_text() == "a file"


@pytest.mark.parametrize("words", [("recover", "--js", "a", "b"), ("recover", "--all", "--jso", "--nonsense"),
                                   ("throttle", "--js", "nobody", "--show"), ("recover", "--nonsense", "--json")])
def test_a_failure_is_a_document_however_json_was_asked_for(host, words):
    run = host.run(*words, "--mock")
    assert run.returncode != 0 and json.loads(run.stdout)["status"] == "error"


def test_json_behind_the_end_of_options_is_an_operand(host):
    run = host.run("recover", "--", "--json", "surplus")
    assert run.returncode == 2 and run.stdout == ""


@pytest.mark.parametrize("verb", ["recover", "boot", "templates"])
def test_an_exit_status_that_occurs_is_in_the_help(host, verb):
    section = host.run(verb, "--help").stdout.split("Exit status")[1]
    assert "\n  1 " in section, section


def test_recover_ends_with_1_where_an_operation_cannot_be_finished(host):
    assert host.create("vm-1", BLOCKHOST_FAULT="kill@75").returncode < 0
    host.behave(down=True)
    assert host.run("recover", "--all", "--mock").returncode in (1, 12)


@pytest.mark.parametrize("token, told", [
    ("7", 7), ("0", 0), ("9007199254740991", 9007199254740991), ("9007199254740992", "9007199254740992"),
    (str(2 ** 256 - 1), str(2 ** 256 - 1)), ("007", 7)])
def test_a_token_id_has_256_bits_and_reaches_the_guest_whole(host, token, told):
    templates = share(host) / "cloud-init/templates"
    (templates / "nft-auth.yaml").write_text("#cloud-config\nusers:\n  - name: ${USERNAME}\n    gecos: wallet=${WALLET_ADDRESS}\n"
                                              "# token ${NFT_TOKEN_ID}\n")
    run = host.create("vm-1", "--nft-token-id", token)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["nft_token_id"] == told
    seed = b"".join(path.read_bytes() for path in (host.folder / "mock-world/cloud-init/vm-1").iterdir())
    assert f"# token {told}\n".encode() in seed


@pytest.mark.parametrize("token", ["-1", str(2 ** 256), "1e3", "0x7", ""])
def test_what_is_no_token_id_is_refused(host, token):
    refused(host, host.create("vm-1", f"--nft-token-id={token}"), "nft-token-id", "token id")
    assert host.everything() == {}


def test_the_bridges_mtu_reaches_the_domain_and_the_guest(host):
    assert host.create("usual").returncode == 0
    (host.folder / "mock-world/mtu").write_text("1400\n")
    assert host.create("small").returncode == 0
    domain, seed = host.folder / "mock-world/domains", host.folder / "mock-world/cloud-init"
    texts = {name: ((domain / f"{name}.xml").read_text(), b"".join(path.read_bytes() for path in (seed / name).iterdir()))
             for name in ("usual", "small")}
    assert '<mtu size="1400"' in texts["small"][0] and b"mtu: 1400" in texts["small"][1]
    assert "<mtu" not in texts["usual"][0] and b"mtu" not in texts["usual"][1]
