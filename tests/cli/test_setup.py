# SPDX-License-Identifier: MIT
"""setup, in the simulated world: what each step answers, warns of and refuses, and that a refusal changes nothing."""

import json
import os

import pytest
from host import BINARY, DB, Host, refused

DEFAULT_NETWORK = """<network><name>default</name><forward mode='nat'/><bridge name='virbr0' stp='on'/>
<ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip>
</network>"""
HAND_WRITTEN = """# by the operator
db_file: /srv/blockhost/vms.json   # on the fast disk
bridge: br0
default_expiry_days: 90
ip_pool: {network: 192.168.1.0/24, start: 100, end: "120", gateway: 192.168.1.1}
ipv6_pool: {prefix: "fd00::/120"}
terraform_dir: /somewhere
"""


@pytest.fixture()
def host(tmp_path):
    host = Host(tmp_path)
    host.world = tmp_path / "mock-world"
    host.world.mkdir()
    return host


def interfaces(host, **each):
    (host.world / "interfaces.json").write_text(json.dumps(each))


def libvirt_network(host, name="default", xml=DEFAULT_NETWORK, active=True, autostart=True):
    (host.world / "networks").mkdir(exist_ok=True)
    (host.world / f"networks/{name}.json").write_text(json.dumps(
        {"xml": xml, "active": active, "autostart": autostart}))


def done(host, step, *words):
    """The answer of a step that succeeds."""
    run = host.run("setup", step, "--mock", "--json", *words)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 1
    answer = json.loads(run.stdout)
    assert answer.pop("step") == step
    return answer


def bad_fields(host, step, *words, status=None):
    """The fields that are refused, of which each is told by name, with a sentence that names the option."""
    before = files(host)
    run = host.run("setup", step, "--mock", "--json", *words)
    assert run.returncode not in (0, 2), run.stdout
    document = json.loads(run.stdout)
    assert document["status"] == "error" and document["hint"] and document["field"] == document["errors"][0]["field"]
    assert run.stderr.strip().splitlines()[-1].startswith("[setup] ERROR: ")
    assert files(host) == before, "a refusal changed something"
    for each in document["errors"]:
        assert each["message"] and each["message"] in document["error"] and each["hint"]
    return {each["field"]: each["message"] for each in document["errors"]}


def files(host):
    return {str(path): path.read_bytes() for path in sorted(host.folder.rglob("*"))
            if path.is_file() and path.name in ("db.yaml",) or "pools/" in str(path)}


def db_yaml(host):
    return (host.world / "db.yaml").read_text()


def without_db_yaml(host):
    (host.etc / "db.yaml").unlink()


def with_db_yaml(host, text):
    (host.etc / "db.yaml").write_text(text)


# storage


def test_storage_makes_the_pool_once_and_create_uses_it(host):
    answer = done(host, "storage")
    assert answer["changed"] is True and answer["path"] == str(host.world / "vms")
    assert done(host, "storage") == answer | {"changed": False}
    assert [path.name for path in (host.world / "pools").iterdir()] == [answer["pool"] + ".xml"]
    assert host.create().returncode == 0
    assert [path.name for path in (host.world / "pools").iterdir()] == [answer["pool"] + ".xml"]


def test_storage_takes_db_yamls_pool_and_a_given_one_wins(host):
    with_db_yaml(host, DB + "storage_pool: fast\nstorage_path: /srv/fast\n")
    answer = done(host, "storage")
    assert answer["pool"].startswith("fast-") and answer["path"] == str(host.world / "srv/fast")
    assert os.stat(answer["path"]).st_mode & 0o777 == 0o711
    assert done(host, "storage", "--pool", "other", "--path", "/srv/other/")["path"] == str(host.world / "srv/other")


def test_storage_works_before_there_is_a_db_yaml(host):
    without_db_yaml(host)
    assert done(host, "storage")["pool"].startswith("blockhost-")


def test_a_pool_at_another_place_is_refused(host):
    done(host, "storage", "--path", "/srv/one")
    assert "/srv/one" in bad_fields(host, "storage", "--path", "/srv/two")["path"]
    assert not (host.world / "srv/two").exists()


@pytest.mark.parametrize("words, field", [
    (("--pool", "a/b"), "pool"), (("--pool="), "pool"), (("--pool=-x",), "pool"), (("--pool", "x" * 65), "pool"),
    (("--path", "relative"), "path"), (("--path", "/"), "path"), (("--path=",), "path"), (("--path", "/a\nb"), "path"),
    (("--path", "/etc/passwd"), "path"), (("--path", "//"), "path"),
])
def test_names_that_are_none_are_refused(host, words, field):
    words = (words,) if isinstance(words, str) else words
    for step in ("storage", "db-config"):
        assert f"--{field}" in bad_fields(host, step, *words)[field]


# network


def test_network_finds_the_bridge_and_retires_libvirts_network(host):
    libvirt_network(host)
    answer = done(host, "network")
    assert answer == {"changed": True, "bridge": "br0", "address": "192.168.1.5/24"}
    kept = json.loads((host.world / "networks/default.json").read_text())
    assert (kept["active"], kept["autostart"]) == (False, False)
    assert done(host, "network") == answer | {"changed": False}


@pytest.mark.parametrize("active, autostart", [(True, False), (False, True)])
def test_either_of_running_and_autostart_is_a_change(host, active, autostart):
    libvirt_network(host, active=active, autostart=autostart)
    assert done(host, "network")["changed"] is True


def test_other_networks_of_libvirts_are_left_alone(host):
    libvirt_network(host, "mine")
    before = (host.world / "networks/mine.json").read_text()
    assert done(host, "network")["changed"] is False
    assert (host.world / "networks/mine.json").read_text() == before


def test_the_bridge_is_the_given_one_else_first_boots_else_db_yamls_else_the_first_with_an_address(host):
    interfaces(host, eth0={"addresses": ["10.0.0.9/24"]}, br7={"bridge": True}, br8={"bridge": True, "addresses": [
        "169.254.1.1/16", "10.8.0.1/16"]}, br9={"bridge": True, "addresses": ["10.9.0.1/24"]},
        bra={"bridge": True, "addresses": ["10.10.0.1/24"]}, brb={"bridge": True, "addresses": ["10.11.0.1/24"]})
    assert done(host, "network") == {"changed": False, "bridge": "br8", "address": "10.8.0.1/16"}  # db.yaml's is not there
    with_db_yaml(host, DB.replace("br0", "br9"))
    assert done(host, "network")["bridge"] == "br9"
    (host.world / "run").mkdir()
    (host.world / "run/bridge").write_text("bra\n")
    assert done(host, "network")["bridge"] == "bra"
    assert done(host, "network", "--bridge", "brb")["bridge"] == "brb"


def test_libvirts_own_bridge_is_never_taken_by_itself_and_not_when_it_is_about_to_go(host):
    without_db_yaml(host)
    interfaces(host, virbr0={"bridge": True, "addresses": ["192.168.122.1/24"]})
    libvirt_network(host)
    assert "bridge" in bad_fields(host, "network")
    assert "libvirt's network default" in bad_fields(host, "network", "--bridge", "virbr0")["bridge"]
    assert json.loads((host.world / "networks/default.json").read_text())["active"] is True


def test_domains_that_lose_their_network_are_warned_of(host):
    interfaces(host, br0={"bridge": True, "addresses": ["10.0.0.9/24"]}, virbr0={"bridge": True, "ports": 3})
    libvirt_network(host)
    run = host.run("setup", "network", "--mock")
    assert run.returncode == 0 and "WARNING: 3 domain(s)" in run.stderr
    assert run.stdout == "VMs stand on bridge br0, 10.0.0.9/24\n"


@pytest.mark.parametrize("name, words", [
    ("nowhere", "not an interface"), ("eth0", "not a bridge"), ("br7", "no IPv4 address"), ("", "not the name"),
    ("a" * 16, "not the name"), ("a/b", "not the name")])
def test_a_bridge_that_is_of_no_use_is_refused(host, name, words):
    interfaces(host, eth0={"addresses": ["10.0.0.9/24"]}, br7={"bridge": True})
    libvirt_network(host)
    for step in ("network", "db-config"):
        assert words in bad_fields(host, step, "--bridge", name)["bridge"]
    assert json.loads((host.world / "networks/default.json").read_text())["active"] is True


def test_first_boots_bridge_must_be_there(host):
    (host.world / "run").mkdir()
    (host.world / "run/bridge").write_text("gone\n")
    assert "run/bridge names gone" in bad_fields(host, "network")["bridge"]


# db-config


def test_a_new_db_yaml_has_all_that_the_contract_needs(host):
    without_db_yaml(host)
    interfaces(host, br0={"bridge": True, "addresses": ["192.168.1.5/24"], "gateway": "192.168.1.1"})
    answer = done(host, "db-config")
    assert answer["changed"] is True and answer["warnings"] == []
    assert answer["db"] == {
        "db_file": str(host.world / "vms.json"), "bridge": "br0", "storage_pool": "blockhost",
        "storage_path": str(host.world / "vms"), "gc_grace_days": 7, "default_expiry_days": 30,
        "ip_pool": {"network": "192.168.1.0/24", "start": 200, "end": 250, "gateway": "192.168.1.1"},
        "ipv6_pool": {"start": 2, "end": 254}}
    text = db_yaml(host)
    for line in ("bridge: br0", "ip_pool:", "  network: 192.168.1.0/24", "  start: 200", "  gateway: 192.168.1.1"):
        assert line in text.splitlines()
    assert os.stat(host.world / "db.yaml").st_mode & 0o7777 == 0o640
    assert not (host.etc / "db.yaml").exists()
    assert done(host, "db-config") == answer | {"changed": False}
    assert db_yaml(host) == text


@pytest.mark.parametrize("content", ["", "\n", "# a comment alone\n"])
def test_a_db_yaml_with_nothing_in_it_counts_as_new(host, content):
    with_db_yaml(host, content)
    answer = done(host, "db-config")
    assert answer["db"]["ip_pool"]["network"] == "192.168.1.0/24"
    assert content.strip() in db_yaml(host)


def test_only_what_is_given_changes_in_a_db_yaml_that_is_there(host):
    with_db_yaml(host, HAND_WRITTEN)
    answer = done(host, "db-config", "--ip-start", "192.168.1.110", "--gc-grace-days", "14")
    assert db_yaml(host) == HAND_WRITTEN.replace("start: 100", "start: 110") + "gc_grace_days: 14\n"
    assert answer["db"]["ip_pool"] == {"network": "192.168.1.0/24", "start": 110, "end": 120, "gateway": "192.168.1.1"}
    assert answer["db"]["default_expiry_days"] == 90 and answer["db"]["db_file"] == "/srv/blockhost/vms.json"
    assert (host.etc / "db.yaml").read_text() == HAND_WRITTEN, "a mock touches nothing real"


def test_a_db_yaml_without_a_bridge_gets_one(host):
    with_db_yaml(host, "db_file: /srv/vms.json\nip_pool: {network: 192.168.1.0/24}\n")
    interfaces(host, br3={"bridge": True, "addresses": ["192.168.1.5/24"]})
    assert done(host, "db-config")["db"]["bridge"] == "br3"
    assert db_yaml(host).endswith("bridge: br3\n")


def test_a_db_yaml_without_a_pool_of_addresses_gets_the_bridges_network(host):
    with_db_yaml(host, "db_file: /srv/vms.json\nbridge: br3 # ours\n")
    interfaces(host, br3={"bridge": True, "addresses": ["10.3.0.5/24"]}, br0={"bridge": True, "addresses": ["10.4.0.5/24"]})
    assert done(host, "db-config")["db"]["ip_pool"] == {"network": "10.3.0.0/24", "start": 200, "end": 250,
                                                        "gateway": "10.3.0.5"}
    assert db_yaml(host).startswith("db_file: /srv/vms.json\nbridge: br3 # ours\nip_pool:\n")
    interfaces(host)
    (host.world / "db.yaml").unlink()
    assert list(bad_fields(host, "db-config")) == ["ip_network"]
    assert done(host, "db-config", "--ip-network", "10.3.0.0/24")["db"]["ip_pool"]["gateway"] == "10.3.0.1"


def test_a_dry_run_says_the_same_and_writes_nothing(host):
    with_db_yaml(host, HAND_WRITTEN)
    dry = done(host, "db-config", "--gateway", "192.168.1.2", "--dry-run")
    assert dry["changed"] is True and not (host.world / "db.yaml").exists()
    assert done(host, "db-config", "--gateway", "192.168.1.2") == dry


@pytest.mark.parametrize("network, start, end, written", [
    ("192.168.1.0/24", "2", "254", (2, 254)), ("192.168.1.0/24", "192.168.1.2", "192.168.1.254", (2, 254)),
    ("10.1.0.0/16", "2", "600", ("10.1.0.2", "10.1.2.88")), ("10.1.2.3/24", "7", "10.1.2.9", (7, 9)),
    ("10.1.2.128/25", "2", "200", (130, 200)), ("10.0.0.0/30", "1", "2", (1, 2))])
def test_ends_of_the_pool_are_numbers_in_the_network_or_addresses(host, network, start, end, written):
    gateway = network.rsplit(".", 1)[0] + "." + ("129" if "/25" in network else "1")
    answer = done(host, "db-config", "--ip-network", network, "--ip-start", start, "--ip-end", end, "--gateway", gateway)
    assert (answer["db"]["ip_pool"]["start"], answer["db"]["ip_pool"]["end"]) == written


@pytest.mark.parametrize("words, field", [
    (("--ip-network", "192.168.1.0"), "ip_network"), (("--ip-network", "192.168.1.0/33"), "ip_network"),
    (("--ip-network", "192.168.1.0/31"), "ip_network"), (("--ip-network", "10.0.0.0/7"), "ip_network"),
    (("--ip-network", "127.0.0.0/24"), "ip_network"), (("--ip-network", "224.0.0.0/24"), "ip_network"),
    (("--ip-network", "fd00::/64"), "ip_network"), (("--ip-network=",), "ip_network"),
    (("--ip-start", "0"), "ip_start"), (("--ip-start", "256"), "ip_start"), (("--ip-start", "-1"), "ip_start"),
    (("--ip-start", "192.168.2.7"), "ip_start"), (("--ip-start", "x"), "ip_start"), (("--ip-start", "1e1"), "ip_start"),
    (("--ip-end", "255"), "ip_end"), (("--ip-end", "10.9.8.1"), "ip_end"), (("--ip-end=",), "ip_end"),
    (("--ip-start", "9", "--ip-end", "8"), "ip_end"), (("--gateway", "10.0.0.1"), "gateway"),
    (("--gateway", "0"), "gateway"), (("--gateway", "gw"), "gateway"), (("--gc-grace-days", "soon"), "gc_grace_days"),
    (("--gc-grace-days", "-1"), "gc_grace_days"), (("--gc-grace-days", "3651"), "gc_grace_days"),
    (("--gc-grace-days", "1.5"), "gc_grace_days"), (("--gc-grace-days=",), "gc_grace_days")])
def test_values_that_are_wrong_are_refused_by_name(host, words, field):
    with_db_yaml(host, HAND_WRITTEN)
    bad = bad_fields(host, "db-config", *words)
    assert list(bad) == [field] and "--" + field.replace("_", "-") in bad[field]


def test_all_wrong_values_are_told_at_once(host):
    bad = bad_fields(host, "db-config", "--ip-start", "x", "--gateway", "y", "--gc-grace-days", "z", "--pool", "a/b",
                     "--path", "rel", "--bridge", "nowhere")
    assert set(bad) == {"ip_start", "gateway", "gc_grace_days", "pool", "path", "bridge"}


def test_what_does_not_fit_to_the_rest_of_the_file_is_blamed_on_the_value_that_is_missing(host):
    with_db_yaml(host, HAND_WRITTEN)
    assert list(bad_fields(host, "db-config", "--ip-network", "10.0.0.0/24")) == ["gateway"]
    assert list(bad_fields(host, "db-config", "--ip-start", "130")) == ["ip_start"]
    done(host, "db-config", "--ip-network", "10.0.0.0/24", "--gateway", "10.0.0.1")


def test_a_value_may_mend_what_is_wrong_in_the_file(host):
    with_db_yaml(host, HAND_WRITTEN.replace("start: 100", "start: 300"))
    assert list(bad_fields(host, "db-config", "--gc-grace-days", "3")) == ["ip_network"]
    done(host, "db-config", "--ip-network", "192.168.1.0/24", "--ip-start", "30")
    assert db_yaml(host) == HAND_WRITTEN.replace("start: 100", "start: 30")


@pytest.mark.parametrize("text", ["bridge: [", "- a\n- b\n", "a: 1\n---\nb: 2\n", "bri", "bridge: br0\nip_po"])
def test_a_db_yaml_that_is_none_is_refused_by_its_name(host, text):
    with_db_yaml(host, text)
    for words in ((), ("--gateway", "192.168.1.1")):
        before = files(host)
        run = host.run("setup", "db-config", "--mock", "--json", *words)
        refused(host, run, "db.yaml", status=4)
        assert json.loads(run.stdout)["code"] == "config" and files(host) == before


@pytest.mark.parametrize("words, field, says", [
    (("--ip-start", "2", "--ip-end", "9"), "ip_start", "192.168.1.5, this host's address on br0"),
    (("--gateway", "192.168.1.110"), "gateway", "contains the gateway"),
    (("--ip-network", "192.168.122.0/24", "--gateway", "192.168.122.1"), "ip_start", "DHCP of libvirt's network default"),
    (("--ip-network", "10.7.0.0/24", "--gateway", "10.7.0.1"), "ip_network", "not the network that br0 stands in"),
    (("--ip-network", "10.8.0.0/24", "--gateway", "10.8.0.1"), "ip_network", "overlaps 10.8.0.0/16, the network of wg0")])
def test_what_is_legal_and_dangerous_is_a_warning(host, words, field, says):
    with_db_yaml(host, HAND_WRITTEN)
    libvirt_network(host)
    interfaces(host, br0={"bridge": True, "addresses": ["192.168.1.5/24"]}, wg0={"addresses": ["10.8.0.1/16"]})
    warnings = done(host, "db-config", "--dry-run", *words)["warnings"]
    assert [each for each in warnings if each["field"] == field and says in each["message"]], warnings
    run = host.run("setup", "db-config", "--mock", *words)
    assert run.returncode == 0 and "WARNING: " in run.stderr and says in run.stderr
    assert db_yaml(host), "a warning keeps nothing from being written"


def test_a_network_that_libvirt_does_not_run_is_no_danger(host):
    with_db_yaml(host, HAND_WRITTEN)
    libvirt_network(host, active=False)
    assert done(host, "db-config")["warnings"] == []


def test_a_libvirt_that_does_not_answer_is_a_warning_and_an_error_where_it_is_needed(host):
    with_db_yaml(host, HAND_WRITTEN)
    host.behave(down=True)
    assert "libvirt could not be asked" in done(host, "db-config")["warnings"][0]["message"]
    for step in ("storage", "network"):
        run = host.run("setup", step, "--mock", "--json")
        assert run.returncode != 0 and json.loads(run.stdout)["code"] == "hypervisor_down"


# template


def test_template_does_what_build_template_does(host):
    (host.world / "template-packages").mkdir()
    first = done(host, "template")
    assert first["changed"] is True and first["version"]
    assert first["template"] == str(host.world / "templates/blockhost-base.qcow2")
    run = host.run("build-template", "--mock", "--json")
    assert json.loads(run.stdout) == first | {"changed": False}
    run = host.run("setup", "template", "--mock")
    assert run.stdout == f"Template built successfully: {first['template']}\n" and "[setup] " in run.stderr


# the verb


@pytest.mark.parametrize("words, says", [
    ((), "STEP"), (("storage", "network"), ""), (("storage", "--bridge", "br0"), "--bridge"),
    (("network", "--pool", "x"), "--pool"), (("template", "--dry-run"), "--dry-run"), (("storage", "--nonsense"), ""),
    (("storage", "--dry-run"), "db-config")])
def test_a_malformed_call_exits_2_and_says_why(host, words, says):
    run = host.run("setup", *words, "--mock")
    assert run.returncode == 2 and says.lower() in run.stderr.lower() and run.stdout == ""


def test_an_unknown_step_is_told_which_there_are(host):
    refused(host, host.run("setup", "nonsense", "--mock"), "storage, network, db-config, template", status=3)


def test_at_the_default_root_the_pool_has_its_plain_name(host):
    del host.env["BLOCKHOST_ROOT"]
    assert done(host, "storage", "--pool", "blockhost", "--path", "/var/lib/blockhost/vms") == {
        "changed": True, "pool": "blockhost", "path": str(host.world / "vms")}


@pytest.mark.parametrize("step", ["storage", "network", "db-config", "template"])
def test_every_step_needs_root(host, step):
    if os.geteuid() != 0:
        run = host.run("setup", step)
    else:
        run = host.run("--reuid", "65534", "--regid", "65534", "--clear-groups", BINARY, "setup", step, program="setpriv")
    assert run.returncode != 0 and "needs root" in run.stderr and run.stdout == ""


def test_the_steps_prepare_a_host_on_which_create_works(host):
    without_db_yaml(host)
    for step in ("storage", "network", "db-config"):
        done(host, step)
    (host.etc / "db.yaml").write_text(db_yaml(host))
    assert host.create().returncode == 0

@pytest.mark.parametrize("path", ["/", "/etc", "/etc/blockhost", "/usr", "/usr/share/x", "/bin", "/lib64", "/boot", "/dev/shm",
                                  "/proc/1", "/sys", "/run/blockhost", "/var", "/var/lib", "/var/lib/", "/var//log", "/home",
                                  "/root", "/tmp", "/srv/../etc", "/var/run/x"])
@pytest.mark.parametrize("step", ["storage", "db-config"])
def test_a_folder_of_the_systems_is_no_place_for_disks(host, step, path):
    assert "a folder of its own" in bad_fields(host, step, "--path", path)["path"]


def test_a_db_yaml_with_a_folder_of_the_systems_for_disks_is_refused_with_its_place(host):
    (host.etc / "db.yaml").write_text(DB + "storage_path: /etc\n")
    refused(host, host.create(), "db.yaml: line 3, column 15: storage_path: expected the absolute path of a folder of its own")
    assert host.everything() == {}


def test_a_dry_run_does_not_say_that_it_has_changed_the_file(host):
    with_db_yaml(host, HAND_WRITTEN)
    words = ("setup", "db-config", "--gateway", "192.168.1.2", "--mock")
    last = host.run(*words, "--dry-run").stdout.splitlines()[-1]
    assert last.endswith("db.yaml would change; nothing was written") and not (host.world / "db.yaml").exists()
    assert host.run(*words).stdout.splitlines()[-1].endswith("db.yaml has changed")
    assert host.run(*words, "--dry-run").stdout.splitlines()[-1].endswith("db.yaml would stay as it is")
    assert host.run(*words).stdout.splitlines()[-1].endswith("db.yaml is as it was")


def test_a_link_to_db_yaml_is_written_through_and_stays(host):
    with_db_yaml(host, HAND_WRITTEN)
    done(host, "db-config", "--gateway", "192.168.1.2")
    elsewhere = host.folder / "kept/settings.yaml"
    elsewhere.parent.mkdir()
    (host.world / "db.yaml").rename(elsewhere)
    (host.world / "db.yaml").symlink_to("../kept/settings.yaml")
    assert done(host, "db-config", "--gateway", "192.168.1.3")["changed"] is True
    assert os.readlink(host.world / "db.yaml") == "../kept/settings.yaml"
    assert "192.168.1.3" in elsewhere.read_text() and not elsewhere.is_symlink()
    assert sorted(path.name for path in elsewhere.parent.iterdir()) == ["settings.yaml"]


def test_a_link_in_place_of_db_yaml_that_leads_nowhere_is_refused(host):
    (host.world / "db.yaml").symlink_to("/nowhere/db.yaml")
    run = host.run("setup", "db-config", "--gateway", "10.9.9.2", "--mock")
    refused(host, run, "db.yaml is a link that leads nowhere; nothing was changed", status=run.returncode)
    assert run.returncode != 0 and os.readlink(host.world / "db.yaml") == "/nowhere/db.yaml"
