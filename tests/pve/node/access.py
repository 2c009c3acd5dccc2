# SPDX-License-Identifier: MIT
"""Who calls, and what he may: users, tokens, roles, access control lists."""

import dataclasses
import re
import secrets
import urllib.parse

from .errors import ApiError, denied, denied_because
from .formats import split_list

PRIVILEGES = tuple("""
Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit Group.Allocate Mapping.Audit
Mapping.Modify Mapping.Use Permissions.Modify Pool.Allocate Pool.Audit Realm.Allocate Realm.AllocateUser SDN.Allocate
SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming Sys.Modify Sys.PowerMgmt Sys.Syslog User.Modify
VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk
VM.Config.HWType
VM.Config.Memory VM.Config.Network VM.Config.Options VM.Console VM.GuestAgent.Audit VM.GuestAgent.FileRead
VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.GuestAgent.Unrestricted VM.Migrate VM.PowerMgmt VM.Replicate
VM.Snapshot VM.Snapshot.Rollback
""".split())
AGENT_ROLE = tuple("""
Datastore.Allocate Datastore.AllocateSpace Datastore.Audit SDN.Use Sys.Audit VM.Allocate VM.Audit VM.Backup
VM.Config.CPU
VM.Config.Disk VM.Config.Memory VM.Config.Network VM.Config.Options VM.PowerMgmt VM.Snapshot VM.Snapshot.Rollback
""".split())
TOP_PATHS = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")
ACL_PATH = re.compile(r"/|(/(access|nodes|pool|sdn|storage|vms|mapping))(/[^/]+)*")


@dataclasses.dataclass
class Token:
    secret: str
    privsep: int = 1
    expire: int = 0
    comment: str = ""


@dataclasses.dataclass
class User:
    name: str
    enable: int = 1
    expire: int = 0
    tokens: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class AclEntry:
    path: str
    kind: str        # user or token
    who: str
    role: str
    propagate: int = 1


class Access:
    def __init__(self, clock):
        self.clock = clock
        self.users, self.acl = {"root@pam": User("root@pam")}, []
        self.roles = {"Administrator": set(PRIVILEGES), "NoAccess": set(), "PVEAuditor": {
            name for name in PRIVILEGES if name.endswith(".Audit")}}

    # -- what a test arranges

    def add_role(self, name, privileges):
        self.roles[name] = set(privileges)

    def add_user(self, name):
        return self.users.setdefault(name, User(name))

    def add_token(self, full, privsep=1, expire=0):
        """USER@REALM!ID; its secret."""
        user, _, token = full.partition("!")
        made = Token(secrets.token_hex(16), privsep, expire)
        self.add_user(user).tokens[token] = made
        return made.secret

    def grant(self, who, role, path="/", propagate=1):
        self.acl.append(AclEntry(path, "token" if "!" in who else "user", who, role, propagate))

    def withdraw(self, who, path=None):
        self.acl = [entry for entry in self.acl if entry.who != who or path not in (None, entry.path)]

    def token(self, full):
        user, _, token = full.partition("!")
        return self.users[user].tokens[token]

    # -- who calls

    def authenticate(self, header):
        """The token's full name, None without credentials of a kind that is known; ApiError 401 if they are no good."""
        found = re.match(r"PVEAPIToken[= ](.*)", header or "")
        if not found:
            return None
        text = urllib.parse.unquote(found[1].split(";")[0])
        full, _, secret = text.rpartition("=")
        user, _, token = full.partition("!")
        known = self.users.get(user)
        made = known.tokens.get(token) if known else None
        now = self.clock.shown()
        good = made and secrets.compare_digest(made.secret.encode(), secret.encode())
        if not good or not known.enable or any(0 < each.expire <= now for each in (known, made)):
            raise ApiError(401, "Authentication failed!")
        return full

    # -- what he may

    def roles_on(self, who, path):
        """Privilege -> whether it propagates: of the entries nearest to the path."""
        found, parts = {}, [part for part in path.split("/") if part]
        for length in range(len(parts) + 1):
            at = "/" + "/".join(parts[:length])
            here = {entry.role: entry for entry in self.acl if entry.who == who and entry.path == at
                    and (entry.propagate or length == len(parts))}
            if here:
                found = {privilege: entry.propagate for role, entry in here.items() if role != "NoAccess"
                         for privilege in self.roles.get(role, ())}
        return found

    def privileges(self, who, path):
        """Privilege -> propagate flag."""
        user, _, token = who.partition("!")
        if not ACL_PATH.fullmatch(path) or user not in self.users:
            return {}
        own = dict.fromkeys(PRIVILEGES, 1) if user == "root@pam" else self.roles_on(user, path)
        if not token:
            return own
        made = self.users[user].tokens.get(token)
        if made is None:
            return {}
        if not made.privsep:
            return own
        return {name: flag for name, flag in self.roles_on(who, path).items() if name in own}

    def has(self, who, path, *privileges):
        held = self.privileges(who, path)
        return all(name in held for name in privileges)

    def has_any(self, who, path, *privileges):
        held = self.privileges(who, path)
        return any(name in held for name in privileges)

    def need(self, who, path, *privileges):
        held = self.privileges(who, path)
        for name in privileges:
            if name not in held:
                raise denied(path, (name,))

    def need_any(self, who, path, *privileges):
        if not self.has_any(who, path, *privileges):
            raise denied(path, privileges)

    def all_permissions(self, who):
        paths = dict.fromkeys([*TOP_PATHS, *sorted(entry.path for entry in self.acl)])
        found = {path: self.privileges(who, path) for path in paths}
        return {path: held for path, held in found.items() if held}

    # -- the schema's own expressions

    def check_call(self, permissions, who, parameters):
        if permissions is None:
            if who != "root@pam":
                raise denied_because("user != root@pam")
        elif permissions.get("check"):
            self.check(permissions["check"], who, parameters)
        elif permissions.get("user") not in ("all", "world"):
            raise denied()

    def check(self, expression, who, parameters):
        kind, *rest = expression
        if kind == "and":
            for each in rest:
                self.check(each, who, parameters)
        elif kind == "or":
            if not any(self.passes(each, who, parameters) for each in rest):
                raise denied()
        elif kind == "perm":
            self._check_perm(rest, who, parameters)
        elif kind == "userid-param":
            self._check_userid(rest[0], who, str(parameters.get("userid", "")))
        elif kind == "userid-group":
            if not self.has_any(who, "/access/groups", *rest[0]):
                raise denied("/access/groups", rest[0])
        elif kind == "perm-modify":
            self.need(who, filled(rest[0], parameters), "Permissions.Modify")
        else:
            raise denied()

    def passes(self, expression, who, parameters):
        try:
            self.check(expression, who, parameters)
        except ApiError:
            return False
        return True

    def _check_perm(self, rest, who, parameters):
        template, privileges, *options = rest
        settings = dict(zip(options[::2], options[1::2]))
        if "require_param" in settings and settings["require_param"] not in parameters:
            raise denied()
        path = filled(template, parameters)
        if settings.get("any"):
            self.need_any(who, path, *privileges)
        else:
            self.need(who, path, *privileges)

    def _check_userid(self, wanted, who, userid):
        if wanted == "self":
            if userid != who:
                raise denied()
        else:
            self.need(who, "/access/realm/" + userid.rpartition("@")[2], wanted)

    def revise_acl(self, path, roles, who, delete, propagate):
        for name in who:
            for role in roles:
                if role not in self.roles:
                    raise ApiError(500, f"role '{role}' does not exist\n")
                self.acl = [entry for entry in self.acl if (entry.path, entry.who, entry.role) != (path, name, role)]
                if not delete:
                    self.grant(name, role, path, propagate)


def filled(template, parameters):
    return re.sub(r"\{([^}]+)\}", lambda found: str(parameters.get(found[1], "")), template)


def names(text):
    return split_list(text or "")
