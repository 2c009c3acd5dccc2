# SPDX-License-Identifier: MIT
"""The rules by which a host agent is judged, as tables: which changes can lose the only copy of data, and who may sign for them.
They are written from the agent's laws, never from its code: where the two differ, one of them is to be mended.
"""

HOST = "host-a"
"""The name of the host on which every history plays."""

BENIGN, DESTRUCTIVE = "benign", "destructive"
ORDINARY, SCRATCH, IN_TRANSACTION = "ordinary", "scratch", "made in this transaction"
PROVENANCES = (ORDINARY, SCRATCH, IN_TRANSACTION)
"""What is known of the thing that a change would lose. Only the agent's own journal says so, never a hub or a desired state."""

LOSES_DATA = ("rollback", "delete-snapshot", "delete-backup", "destroy")
"""What takes the only or primary copy of data away, unless that copy was made for a trial, or is taken back by its maker."""
LOSES_NOTHING = ("start", "stop", "resume", "set-config", "grow", "create", "snapshot", "backup", "restore")
"""What can be taken back. A restore always makes a new guest."""
STORAGE_AND_FEATURES = {"mount": False, "unmount": True, "set-features": False}
"""Kinds that no history has, since a simulated host has no disks of its own: whether they take data away."""
KEYS = "rotate-keys"
"""A change of who may sign: never lowered, since nothing that the agent makes for itself is a key."""
KINDS = (*LOSES_NOTHING, *LOSES_DATA)
MAKES_A_GUEST = ("create", "restore")


def class_of(kind, provenance=ORDINARY):
    """What the rules do not know is destructive."""
    if kind in LOSES_NOTHING or STORAGE_AND_FEATURES.get(kind) is False:
        return BENIGN
    if (kind in LOSES_DATA or kind in STORAGE_AND_FEATURES) and provenance in (SCRATCH, IN_TRANSACTION):
        return BENIGN
    return DESTRUCTIVE


CLASSES = {(kind, provenance): class_of(kind, provenance) for kind in (*KINDS, *STORAGE_AND_FEATURES, KEYS) for provenance in PROVENANCES}

ROLES = {
    "operator": frozenset((*LOSES_DATA, KEYS)),
    "recovery": frozenset((KEYS,)),
    "keeper": frozenset(("delete-snapshot", "delete-backup")),  # one that this host declares
}
"""Role -> the kinds of change that it may sign."""

SIGNERS_NEEDED = {"delete-backup": 2}
"""Kinds that ask for more than one signer; each has another key, and each may sign that kind."""


def signers_needed(kind):
    return SIGNERS_NEEDED.get(kind, 1)


LARGEST_ENVELOPE = 64 << 10
"""Bytes."""
