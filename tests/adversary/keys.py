# SPDX-License-Identifier: MIT
"""Who signs: keys of real ssh-keygen, made once for a run, and what the host is told of them. For tests of the suite itself there
is a notary instead, whose signatures cost nothing.
"""

import dataclasses
import hashlib
import pathlib
import subprocess

import rules

NAMESPACE = "operation@blockhost-libvirt"
OTHER_NAMESPACE = "file"
SSH_KEYGEN = "/usr/bin/ssh-keygen"


@dataclasses.dataclass(frozen=True)
class Signer:
    """`key`: whose key it is, where several names have one. `options`: in the allowed signers' file; none: it is not there."""
    role: str
    type: str = "ed25519"
    options: str = f'namespaces="{NAMESPACE}"'
    key: str = None
    revoked: bool = False


SIGNERS = {
    "alice": Signer("operator"),
    "bob": Signer("operator", "ecdsa"),
    "alice-again": Signer("operator", key="alice"),
    "rita": Signer("recovery"),
    "karl": Signer("keeper"),
    "renata": Signer("operator", revoked=True),
    "olaf": Signer("operator", options=f'namespaces="{NAMESPACE}",valid-before="20200101"'),
    "nora": Signer("operator", options=f'namespaces="{OTHER_NAMESPACE}"'),
    "mallory": Signer(None, options=None),
}
ROLES = {name: signer.role for name, signer in SIGNERS.items() if signer.role}
"""Name in the allowed signers' file -> role."""


def told_roles():
    """As the host is told."""
    return [{"name": role, "principals": [name for name, has in ROLES.items() if has == role], "changes": sorted(changes)}
            for role, changes in rules.ROLES.items()]


def key_of(name):
    return SIGNERS[name].key or name


def is_accepted(name):
    """Whether that signer's signatures in the right namespace are good: known, not revoked, its time not over, for this use."""
    signer = SIGNERS[name]
    return signer.options == f'namespaces="{NAMESPACE}"' and not signer.revoked


class Keys:
    """Real ones. `folder` is the run's own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for name in {key_of(name): None for name in SIGNERS}:
            words = ["-q", "-t", SIGNERS[name].type, "-N", "", "-C", name, "-f", self.folder / name]
            subprocess.run([SSH_KEYGEN, *words], check=True)
        self.signed = {}

    def public(self, name):
        """Type and key, without the comment."""
        return " ".join((self.folder / f"{key_of(name)}.pub").read_text().split()[:2])

    def sign(self, name, namespace, message):
        """The signature's text; the same one for the same question."""
        asked = (key_of(name), namespace, message)
        if asked not in self.signed:
            signed = subprocess.run([SSH_KEYGEN, "-Y", "sign", "-q", "-n", namespace, "-f", self.folder / key_of(name)],
                                    input=message, check=True, capture_output=True)
            self.signed[asked] = signed.stdout.decode()
        return self.signed[asked]


class Notary:
    """Signatures that say who made them and of what. Public keys are only names."""

    def public(self, name):
        return f"notary {key_of(name)}"

    def sign(self, name, namespace, message):
        return f"{key_of(name)} {namespace} {hashlib.sha256(message).hexdigest()} notary\n"

    def signer(self, signature, message):
        """(the key's name, namespace) of a signature that is of these bytes; or None."""
        name, namespace = (*signature.split(" "), "", "")[:2]
        return (name, namespace) if name in SIGNERS and signature == self.sign(name, namespace, message) else None


def write_authority(keys, folder):
    """What the host knows: <folder>/allowed_signers and <folder>/revoked_keys, as OpenSSH reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "allowed_signers").write_text("".join(f"{name} {signer.options} {keys.public(name)}\n"
                                                    for name, signer in SIGNERS.items() if signer.options))
    (folder / "revoked_keys").write_text("".join(f"{keys.public(name)}\n" for name, signer in SIGNERS.items() if signer.revoked))
