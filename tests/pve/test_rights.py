# SPDX-License-Identifier: MIT
"""What each call needs: without exactly that privilege it is refused, with it it is not."""

import pytest
from client import Client
from node import schema
from node.access import AGENT_ROLE, PRIVILEGES
from node.registry import HANDLERS

VM, CT, NODE, LOCAL = "/nodes/pve1/qemu/100", "/nodes/pve1/lxc/101", "/nodes/pve1", "/nodes/pve1/storage/local"
BACKUP = f"{LOCAL}/content/local:backup/vzdump-lxc-101-2026_01_01-00_00_00.tar.zst"
TEMPLATE = "local:vztmpl/tiny_2_amd64.tar.zst"
NEEDS = [
    ("GET", f"{VM}/config", {}, "VM.Audit"), ("GET", f"{VM}/pending", {}, "VM.Audit"),
    ("GET", f"{VM}/status/current", {}, "VM.Audit"), ("GET", f"{VM}/snapshot", {}, "VM.Audit"),
    ("GET", f"{CT}/config", {}, "VM.Audit"), ("GET", f"{CT}/interfaces", {}, "VM.Audit"),
    ("GET", f"{NODE}/status", {}, "Sys.Audit"), ("GET", f"{NODE}/rrddata?timeframe=hour", {}, "Sys.Audit"),
    ("GET", f"{NODE}/disks/list", {}, "Sys.Audit"), ("GET", f"{NODE}/disks/smart?disk=/dev/sda", {}, "Sys.Audit"),
    ("GET", "/cluster/status", {}, "Sys.Audit"),
    ("POST", f"{NODE}/qemu", {"vmid": 110}, "VM.Allocate"),
    ("POST", f"{NODE}/qemu", {"vmid": 110, "scsi0": "local:1"}, "Datastore.AllocateSpace"),
    ("POST", f"{NODE}/qemu", {"vmid": 110, "scsi0": "local:1"}, "VM.Config.Disk"),
    ("POST", f"{NODE}/lxc", {"vmid": 110, "ostemplate": TEMPLATE}, "VM.Allocate"),
    ("POST", f"{NODE}/lxc", {"vmid": 110, "ostemplate": TEMPLATE, "rootfs": "local:0"}, "Datastore.AllocateSpace"),
    ("PUT", f"{VM}/config", {"cores": 2}, "VM.Config.CPU"), ("PUT", f"{VM}/config", {"memory": 96}, "VM.Config.Memory"),
    ("PUT", f"{VM}/config", {"description": "x"}, "VM.Config.Options"),
    ("PUT", f"{VM}/config", {"net0": "virtio,bridge=vmbr0"}, "VM.Config.Network"),
    ("PUT", f"{VM}/config", {"scsi1": "local:1"}, "VM.Config.Disk"),
    ("PUT", f"{VM}/config", {"boot": "order=scsi0"}, "VM.Config.Disk"),
    ("PUT", f"{CT}/config", {"memory": 96}, "VM.Config.Memory"), ("PUT", f"{CT}/config", {"cores": 2}, "VM.Config.CPU"),
    ("PUT", f"{CT}/config", {"hostname": "x1"}, "VM.Config.Network"),
    ("PUT", f"{CT}/config", {"onboot": 1}, "VM.Config.Options"),
    ("PUT", f"{CT}/config", {"mp0": "local:0,mp=/x"}, "VM.Config.Disk"),
    ("PUT", f"{VM}/resize", {"disk": "scsi0", "size": "+1G"}, "VM.Config.Disk"),
    ("POST", f"{VM}/status/start", {}, "VM.PowerMgmt"), ("POST", f"{CT}/status/start", {}, "VM.PowerMgmt"),
    ("POST", f"{VM}/snapshot", {"snapname": "aa"}, "VM.Snapshot"), ("DELETE", f"{VM}/snapshot/aa", {}, "VM.Snapshot"),
    ("POST", f"{NODE}/vzdump", {"vmid": 101, "storage": "local"}, "VM.Backup"),
    ("POST", f"{NODE}/vzdump", {"vmid": 101, "storage": "local"}, "Datastore.AllocateSpace"),
    ("POST", f"{NODE}/vzdump", {"vmid": 101, "storage": "local", "prune-backups": "keep-last=1"}, "Datastore.Allocate"),
    ("POST", "/storage", {"storage": "more", "type": "dir", "path": "/x"}, "Datastore.Allocate"),
    ("DELETE", VM, {}, "VM.Allocate"), ("DELETE", CT, {}, "VM.Allocate"),
]
CLOSED = [("POST", f"{VM}/clone", {"newid": 110}), ("POST", f"{VM}/migrate", {"target": "pve1"}),
          ("PUT", f"{VM}/config", {"kvm": 0}),
          ("PUT", f"{VM}/config", {"scsihw": "virtio-scsi-pci"}), ("PUT", f"{VM}/config", {"serial0": "socket"}),
          ("POST", f"{VM}/agent/ping", {}), ("GET", f"{NODE}/hardware/usb", {}), ("GET", f"{NODE}/journal", {}),
          ("POST", f"{NODE}/status", {"command": "reboot"}), ("POST", f"{NODE}/vzdump", {"vmid": 101, "bwlimit": 1})]
"""What the agent's role cannot do."""


@pytest.fixture()
def world(standin):
    standin.add_vm(100, disks={"scsi0": 1})
    standin.add_container(101)
    standin.nodes["pve1"].disks.append({"devpath": "/dev/sda"})
    standin.knobs.take_snapshot(100, "aa")
    return standin


def asked(world, name, privileges, method, path, values):
    world.access.add_role(name, privileges)
    return Client(world, world.token(f"{name}@pve!tok", role=name)).ask(method, path, values or None)


@pytest.mark.parametrize("method, path, values, privilege", NEEDS, ids=lambda value: str(value)[-40:])
def test_a_call_needs_its_privilege(world, method, path, values, privilege):
    assert asked(world, "without", set(AGENT_ROLE) - {privilege}, method, path, values).status == 403
    with_it = asked(world, "agent", AGENT_ROLE, method, path, values)
    assert with_it.status == 200, with_it.body


@pytest.mark.parametrize("method, path, values", CLOSED, ids=lambda value: str(value)[-40:])
def test_the_agents_role_cannot_do_more(world, method, path, values):
    assert asked(world, "agent", AGENT_ROLE, method, path, values).status == 403
    assert asked(world, "all", PRIVILEGES, method, path, values).status in (200, 500, 501)


@pytest.mark.parametrize("held, status",
                         [({"Datastore.Allocate"}, 200), ({"Datastore.AllocateSpace", "VM.Backup"}, 200),
                                          ({"Datastore.AllocateSpace"}, 403), ({"VM.Backup"}, 403)])
def test_who_may_delete_a_backup(world, held, status):
    assert asked(world, "some", held, "DELETE", BACKUP, {}).status == status


def test_a_restore_over_a_guest_needs_no_more_than_the_right_to_save_it(world):
    api = Client(world)
    assert api.do(api.post(f"{NODE}/vzdump", vmid=101, storage="local")) == "OK"
    [row] = api.get(f"{LOCAL}/content?content=backup").data
    values, weak = {"ostemplate": row["volid"], "restore": 1, "vmid": 101, "force": 1}, {"VM.Backup",
                                                                                         "Datastore.AllocateSpace"}
    assert asked(world, "weak", weak, "POST", f"{NODE}/lxc", values).status == 200
    assert asked(world, "weak", weak, "POST", f"{NODE}/lxc", values | {"vmid": 102}).status == 403


def test_rights_below_a_path_reach_no_further(world):
    world.token("narrow@pve!tok", role=None)
    for who in ("narrow@pve", "narrow@pve!tok"):
        world.knobs.grant(who, "Agent16", "/vms/100")
    api = Client(world, world.token("narrow@pve!tok"))
    assert [row["vmid"] for row in api.get("/nodes/pve1/qemu").data] == [100] and api.get("/nodes/pve1/lxc").data == []
    assert api.get(f"{VM}/config").status == 200 and api.get(f"{CT}/config").status == 403
    assert api.get("/access/permissions?path=/vms/101").data == {"/vms/101": {}}


def test_a_nearer_entry_replaces_one_from_above_and_one_that_does_not_propagate_stays(world):
    for who in ("near@pve", "near@pve!tok"):
        world.knobs.grant(who, "Agent16", "/", propagate=1)
        world.knobs.grant(who, "NoAccess", "/vms/100")
        world.knobs.grant(who, "NoAccess", "/vms", propagate=0)
    api = Client(world, world.token("near@pve!tok"))
    assert api.get(f"{VM}/config").status == 403 and api.get(f"{CT}/config").status == 200


def test_a_token_may_be_made_over_the_api_and_used(world):
    root = world.token("root@pam!full", role=None)
    world.access.token("root@pam!full").privsep = 0
    api = Client(world, root)
    assert api.post("/access/users", userid="new@pve").status == 200
    made = api.post("/access/users/new@pve/token/tok", privsep=0).data
    assert api.put("/access/acl", path="/vms", roles="Agent16", users="new@pve").status == 200
    mine = Client(world, f"{made['full-tokenid']}={made['value']}")
    assert mine.get(f"{VM}/config").status == 200 and mine.get(f"{NODE}/status").status == 403
    assert api.put("/access/acl", path="/vms", roles="Agent16", users="new@pve", delete=1).status == 200
    assert mine.get(f"{VM}/config").status == 403


# -- the schema


def test_each_call_of_the_schema_is_served_and_no_other():
    assert {(call.method, call.path) for call in schema.tree().calls} == set(HANDLERS)


@pytest.mark.parametrize("method, path, values, errors", [
    ("GET", f"{NODE}/qemu/100/config?nosuch=1", {}, {"nosuch": schema.UNKNOWN}),
    ("PUT", f"{VM}/config", {"cores": 0}, {"cores": "value must have a minimum value of 1"}),
    ("PUT", f"{VM}/config", {"cpulimit": 129}, {"cpulimit": "value must have a maximum value of 128"}),
    ("PUT", f"{VM}/config", {"ostype": "x"}, None),
    ("PUT", f"{VM}/config", {"net0": "bridge=vmbr0"}, {"net0": "invalid format - format error\n"
                                                       "net0.model: property is missing and it is not optional\n"}),
    ("PUT", f"{VM}/config", {"net0": "virtio,bridge=a,bridge=b"},
     {"net0": "invalid format - duplicate key in comma-separated list property: bridge\n"}),
    ("PUT", f"{VM}/config", {"net40": "virtio"}, None), ("POST", f"{VM}/snapshot", {}, {"snapname": schema.MISSING}),
    ("POST", f"{NODE}/vzdump", {"vmid": 101, "notes-template": "x"},
     {"storage": "missing property - 'notes-template' requires this property"}),
    ("GET", f"{LOCAL}/prunebackups?prune-backups=keep-some=1", {},
     {"prune-backups": "invalid format - format error\n"}),
])
def test_parameters_are_checked_by_the_schema(world, method, path, values, errors):
    reply = Client(world).ask(method, path.replace("keep-some=", "keep-some%3D"), values or None)
    assert (reply.status, reply.reason) == (400, "Parameter verification failed."), reply.body
    assert errors is None or reply.errors == errors


def test_a_token_is_looked_for_and_made_in_one_piece(standin):
    """Else two clients that come at the same time get two secrets, of which one is void."""
    class Watched(dict):
        def __contains__(self, full):
            held.append(standin.clock.lock._is_owned())
            return super().__contains__(full)
    held, standin._secrets = [], Watched()
    assert standin.token() == standin.token()
    assert held and all(held)
