# SPDX-License-Identifier: MIT
"""Signed operations as operators send them, and as their enemies do: the envelope that the host asks to sign, changed in one way,
signed by somebody. What is sent keeps the truth about itself beside it, so that the oracle need not ask ssh-keygen.
"""

import dataclasses
import datetime
import hashlib
import json

import rules
from keys import NAMESPACE, OTHER_NAMESPACE

MEMBERS = {"version": 1, "operation": str, "host": str, "target": {"guest": str, "incarnation": str}, "action": {"kind": str},
           "digests": {"change": str}, "not_before": str, "not_after": str, "nonce": str}
"""The envelope: version 1, with these members and no others but for `digests.guest`, which may be absent, and the action's own.
`digests.change` is the SHA-256 of the action's JSON as Python writes it; instants are UTC, to the second, with "Z"."""
ACTION_MEMBERS = {
    "start": (), "stop": ("patience_s", "force"), "resume": (),
    "set-config": ("digest", "name?", "description?", "cpus?", "memory_mib?", "tags?", "start_on_boot?", "is_protected?"),
    "grow": ("disk_mib",), "create": ("source", "config"), "snapshot": ("snapshot", "description"), "rollback": ("snapshot",),
    "delete-snapshot": ("snapshot",), "backup": ("repository", "notes", "is_protected"), "restore": ("backup",),
    "delete-backup": ("backup",), "destroy": (), "rotate-keys": ("allowed_signers_sha256", "revoked_sha256")}
"""Beside the kind; those with a question mark may be absent."""


def instant(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text):
    return int(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp())


def digest_of(action):
    return hashlib.sha256(json.dumps(action).encode()).hexdigest()


def nonce_of(what):
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def make(operation, guest, incarnation, action, not_before, not_after, nonce, host=rules.HOST):
    """As the host is to write it."""
    return json.dumps({"version": 1, "operation": operation, "host": host, "target": {"guest": guest, "incarnation": incarnation},
                       "action": action, "digests": {"change": digest_of(action)}, "not_before": instant(not_before),
                       "not_after": instant(not_after), "nonce": nonce}).encode()


class Malformed(Exception):
    """Not exactly an envelope."""


def read(raw):
    """An envelope's members. Raises Malformed for what is not exactly one: anything that might be read in two ways."""
    def once(pairs):
        if len(dict(pairs)) != len(pairs):
            raise Malformed("a member that is there twice")
        return dict(pairs)
    if len(raw) > rules.LARGEST_ENVELOPE:
        raise Malformed("too large")
    try:
        members = json.loads(raw.decode(), object_pairs_hook=once)
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from error
    shape(members, MEMBERS, {"digests": ("guest",), "action": None})
    kind = members["action"]["kind"]
    if kind not in ACTION_MEMBERS:
        raise Malformed(f"no kind of action: {kind}")
    known = ACTION_MEMBERS[kind]
    missing = {name for name in known if not name.endswith("?")} - set(members["action"])
    strange = set(members["action"]) - {"kind"} - {name.rstrip("?") for name in known}
    if missing or strange or members["digests"]["change"] != digest_of(members["action"]):
        raise Malformed("the action")
    try:
        members["not_before"], members["not_after"] = seconds(members["not_before"]), seconds(members["not_after"])
    except ValueError as error:
        raise Malformed(str(error)) from error
    return members


def shape(found, wanted, optional, where="the envelope"):
    if not isinstance(found, dict):
        raise Malformed(f"{where} is no object")
    name = where.rpartition(".")[2]
    strange = set() if name in optional and optional[name] is None else set(found) - set(wanted) - set(optional.get(name, ()))
    if strange or set(wanted) - set(found):
        raise Malformed(f"members of {where}")
    for key, kind in wanted.items():
        if isinstance(kind, dict):
            shape(found[key], kind, optional, f"{where}.{key}")
        elif isinstance(kind, int) and (found[key] != kind or isinstance(found[key], bool)):
            raise Malformed(f"{where}.{key}")
        elif isinstance(kind, type) and not isinstance(found[key], kind):
            raise Malformed(f"{where}.{key}")


@dataclasses.dataclass(frozen=True)
class Signature:
    """`message`: what was signed; `text`: what is sent; `intact`: that text is what the key made."""
    signer: str
    namespace: str
    message: bytes
    text: str
    intact: bool = True


@dataclasses.dataclass(frozen=True)
class Sent:
    """A signed operation on its way."""
    raw: bytes
    signatures: tuple


@dataclasses.dataclass
class Draft:
    """A signed operation in the making. Mutations change it. `past`: what was sent before; `other`: another guest's name."""
    members: dict
    signers: list
    past: list
    other: str
    namespace: str = NAMESPACE
    then: list = dataclasses.field(default_factory=list)
    """What becomes of the bytes after they were signed."""
    torn: list = dataclasses.field(default_factory=list)
    """What becomes of the signatures' texts."""
    before: list = dataclasses.field(default_factory=list)
    """What becomes of the bytes before they are signed."""

    def action(self, action):
        self.members["action"] = action
        self.members["digests"]["change"] = digest_of(action)

    def window(self, first, last):
        self.members["not_before"], self.members["not_after"] = instant(first), instant(last)


def one_off(text):
    """The same text but for its last character."""
    return text[:-1] + ("b" if text[-1:] == "a" else "a")


def other_parameters(draft, _now):
    action = draft.members["action"]
    for name, value in action.items():
        if name != "kind" and isinstance(value, str):
            draft.action({**action, name: one_off(value)})
            return
    draft.action({"kind": "delete-snapshot", "snapshot": "s1"})


def other_action(draft, _now):
    kind = draft.members["action"]["kind"]
    draft.action({"kind": "destroy"} if kind != "destroy" else {"kind": "rollback", "snapshot": "s1"})


def used_nonce(draft, _now):
    for sent in reversed(draft.past):
        try:
            nonce = read(sent.raw)["nonce"]
        except Malformed:
            continue
        if nonce != draft.members["nonce"]:
            draft.members["nonce"] = nonce
            return


def signed_by(*names):
    """By as many of them as are needed."""
    def change(draft, _now):
        draft.signers = list(names[:rules.signers_needed(draft.members["action"]["kind"])])
    return change


def wrong_role(draft, _now):
    """Of each signer as many as are needed, with a role that may not."""
    draft.signers = ["rita"] if draft.members["action"]["kind"].startswith("delete-") else ["karl"]
    draft.signers += ["alice"] * (rules.signers_needed(draft.members["action"]["kind"]) - 1)


def set_member(*path, to):
    def change(draft, _now):
        place = draft.members
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to(place.get(path[-1])) if callable(to) else to
    return change


def other_guest(draft, _now):
    draft.members["target"]["guest"] = draft.other


def last_signature(draft, _now):
    """The signatures of the last one that was sent, under this envelope."""
    if draft.past:
        draft.torn.append(lambda _texts: list(draft.past[-1].signatures))


def twice_a_member(draft, _now):
    """Two targets: whoever takes the last one sees the guest, and whoever takes the first sees another."""
    guest = json.dumps(draft.other).encode()
    draft.before.append(lambda raw: raw.replace(b'"target": {', b'"target": {"guest": ' + guest + b", ", 1))


MUTATIONS = {
    "none": lambda draft, now: None,
    "truncated": lambda draft, now: draft.then.append(lambda raw: raw[:-1]),
    "truncated, then signed": lambda draft, now: draft.before.append(lambda raw: raw[:-1]),
    "oversized": lambda draft, now: draft.before.append(lambda raw: raw + b" " * rules.LARGEST_ENVELOPE),
    "twice a member": twice_a_member,
    "unknown member": set_member("scratch", to=True),
    "other version": set_member("version", to=2),
    "re-encoded": lambda draft, now: draft.then.append(lambda raw: json.dumps(json.loads(raw), indent=1).encode()),
    "no signature": lambda draft, now: draft.torn.append(lambda all: []),
    "torn signature": lambda draft, now: draft.torn.append(
        lambda all: [dataclasses.replace(each, text=each.text[:len(each.text) // 2], intact=False) for each in all]),
    "signature of another": last_signature,
    "other namespace": lambda draft, now: setattr(draft, "namespace", OTHER_NAMESPACE),
    "unknown signer": signed_by("mallory", "mallory"),
    "signer for another use": signed_by("nora", "nora"),
    "signer whose time is over": signed_by("olaf", "bob"),
    "revoked signer": signed_by("renata", "bob"),
    "other role": wrong_role,
    "one signer alone": signed_by("alice"),
    "one signer twice": signed_by("alice", "alice"),
    "one key by two names": signed_by("alice", "alice-again"),
    "other host": set_member("host", to="host-b"),
    "other guest": other_guest,
    "other incarnation": set_member("target", "incarnation", to=one_off),
    "no incarnation": set_member("target", "incarnation", to=""),
    "other action": other_action,
    "other parameters": other_parameters,
    "other operation": set_member("operation", to=one_off),
    "expired": lambda draft, now: draft.window(now - 7200, now - 3600),
    "expired, clock back": lambda draft, now: draft.window(now - 7200, now - 3600),
    "not yet valid": lambda draft, now: draft.window(now + 3600, now + 7200),
    "used nonce": used_nonce,
}
ONLY_FOR = dict.fromkeys(("one signer alone", "one signer twice", "one key by two names"), tuple(rules.SIGNERS_NEEDED))
"""Mutations that are none of other kinds of action."""
CLOCK_BACK = {"expired, clock back": 5400}
"""Mutations that need the host's clock so many seconds behind while they are sent."""


def sign(keys, asked, mutation, signers, past, other, now):
    """What is sent for the envelope `asked` (bytes, as the host wrote them) when it is changed so."""
    draft = Draft(json.loads(asked), list(signers), list(past), other)
    MUTATIONS[mutation](draft, now)
    is_as_asked = json.loads(asked) == draft.members
    raw = asked if is_as_asked else json.dumps(draft.members).encode()
    for change in draft.before:
        raw = change(raw)
    signatures = [Signature(name, draft.namespace, raw, keys.sign(name, draft.namespace, raw)) for name in draft.signers]
    for change in draft.torn:
        signatures = change(signatures)
    for change in draft.then:
        raw = change(raw)
    return Sent(raw, tuple(signatures))
