# SPDX-License-Identifier: MIT
"""What can be left out of the program under test, by BLOCKHOST_LEAVE_OUT (src/base/fault.hpp, left_out(what, name)): for each,
the histories in which it shows. The suite asserts that each is caught. A name that the program does not have leaves nothing
out, and its test fails.

Names are "WHAT NAME", in the program left_out("WHAT", "NAME").
"""

import rules

CHECKS = {
    "check signature": ("torn signature", "re-encoded", "signature of another", "unknown signer", "other namespace",
                        "revoked signer"),
    "check role": ("other role", "one signer alone", "one signer twice", "one key by two names"),
    "check target": ("other host", "other guest", "other incarnation"),
    "check parameters": ("other parameters", "other action"),
    "check time": ("expired", "not yet valid", "expired, clock back"),
    "check nonce": ("used nonce",),
}
"""Each check of a signed operation, in its order -> the mutations that only it refuses. Where one is left
out, whatever it would have refused passes."""

PARTS = {
    "check form": (None, ("oversized", "twice a member", "unknown member")),
    "check namespace": ("check signature", ("other namespace",)),
    "check revocation": ("check signature", ("revoked signer",)),
    "check second signer": ("check role", ("one signer alone", "one signer twice", "one key by two names")),
    "check host": ("check target", ("other host",)),
    "check guest": ("check target", ("other guest",)),
    "check incarnation": ("check target", ("other incarnation",)),
    "check not before": ("check time", ("not yet valid",)),
    "check not after": ("check time", ("expired",)),
    "check clock": ("check time", ("expired, clock back",)),
}
"""What these checks consist of -> the check, and the mutations. The suite's own agent leaves each out by itself."""

ROWS = {f"classifier {kind} {provenance}": (kind, provenance) for kind, provenance in rules.CLASSES}
"""Each row of the classifier; left out, it says the opposite."""

ROW_SCENES = ("signed", "wished", "wanted", "tried", "undone", "made")

ENGINE = {
    "guard nonce store": ("older",),          # an older database than the hub or the audit knows is believed
    "guard generation": ("wanted",),          # a desired state of a lower generation is followed
    "guard key": ("wished",),                 # a job that is delivered twice is done twice
    "guard absence": ("wanted",),             # a guest that the desired state does not name is stopped
    "guard doubt": ("doubted",),              # what a failed look did not see is believed not to be there
    "guard trace": ("lost",),                 # an action whose answer got lost is begun again
    "guard order": ("wished",),               # the operations on a guest are begun in another order than they arrived
    "guard take back": ("undone",),           # a guest is taken back that somebody else has changed since it was made
    "guard claims": ("claimed",),             # what a job says of itself is believed
    "guard wait": ("signed",),                # a bad signed operation ends what waits for a good one
    "guard record": ("signed",),              # what was permitted is not on record
    "sync note": ("wished",),                 # what finds an action again is on disk only after it began
    "sync nonce": ("crashed",),               # a nonce is on disk only after the action began
}
"""What the engine's laws are made of, each left out -> the scenes of histories.py in which it shows. The suite's own agent leaves
each out."""

IN_PROGRAM = (*CHECKS, *ROWS)
"""What can be left out of the program under test; the tests want each of them to be caught. One of PARTS or ENGINE that
the program gets is named here, too."""

POINTS = ("before a nonce is written", "after it was", "before an operation's note is written", "after it was",
          "before a platform's action begins", "after it did", "before an operation's end is written", "after it was",
          "before a desired state's generation is written", "after it was", "before an approval is written", "after it was")
"""Where the program has to pass a point of src/base/fault.hpp, so that it can be killed there: in the nonce store, the journal
and the executor. The simulated platform's files have points already."""


def is_played(row):
    """Whether histories reach that row of the classifier; the others are compared with the rules' table alone."""
    kind, provenance = row
    return kind in rules.KINDS and (provenance == rules.ORDINARY or (kind in rules.LOSES_DATA and provenance == rules.SCRATCH)
                                    or (kind, provenance) == ("destroy", rules.IN_TRANSACTION))


def leaves_out(wish, name):
    """Whether that wish leaves out what is called so: it itself, or what it is a part of."""
    return wish is not None and wish in (name, PARTS.get(name, (None,))[0])


def scenes_of(name):
    """(mutations, scenes) of the histories in which that one shows."""
    if name in CHECKS:
        return CHECKS[name], ("signed",)
    if name in PARTS:
        return PARTS[name][1], ("signed",)
    return ("expired",) if name == "guard wait" else ("none",), ENGINE.get(name, ROW_SCENES)
