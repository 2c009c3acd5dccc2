# SPDX-License-Identifier: MIT
"""The gate of the suite's own agent: honest, but for what is left out of it (knobs.py)."""

import json

import envelope
import keys
import knobs
import rules

WINDOW = 72 * 3600
TOLERANCE = 120
"""Seconds that a clock may go back."""


class Denied(Exception):
    """Why not: one clause."""


def lenient(raw):
    """An envelope as a careless program reads it."""
    members = json.loads(raw)
    return {**members, "not_before": envelope.seconds(members["not_before"]), "not_after": envelope.seconds(members["not_after"])}


class Gate:
    def __init__(self, notary, left_out):
        self.notary, self.left_out = notary, left_out

    def checks(self, name):
        return not knobs.leaves_out(self.left_out, f"check {name}")

    def require(self, name, is_good, why):
        if self.checks(name) and not is_good:
            raise Denied(why)

    def is_destructive(self, kind, provenance):
        is_destructive = rules.class_of(kind, provenance) == rules.DESTRUCTIVE
        return is_destructive != (self.left_out == f"classifier {kind} {provenance}")

    def read(self, raw):
        try:
            return envelope.read(raw) if self.checks("form") else lenient(raw)
        except (envelope.Malformed, ValueError, KeyError, TypeError) as error:
            raise Denied(f"malformed: {error}") from error

    def signers(self, raw, signatures):
        """Names of keys, by the keys' material."""
        found = []
        for text in signatures:
            told = self.notary.signer(text, raw)
            if told is None:
                self.require("signature", False, "no signature of this")
                told = ("alice" if "alice" not in found else "bob", keys.NAMESPACE)
            name, namespace = told
            signer = keys.SIGNERS[name]
            self.require("namespace", namespace == keys.NAMESPACE, "another namespace")
            is_known = keys.is_accepted(name) or signer.revoked
            self.require("signature", is_known, "an unknown signer")
            self.require("revocation", not signer.revoked, "a revoked key")
            found.append(name if is_known else "alice")
        return found

    def verify(self, raw, signatures, operation, guest, now, state):
        """The members of an envelope that allows this operation; `guest`: as the platform shows it, None: it is not there."""
        members = self.read(raw)
        names = self.signers(raw, signatures)
        kind = operation["action"]["kind"]
        self.require("signature", bool(names), "nobody signed")
        needed = rules.signers_needed(kind)
        self.require("second signer", len(set(names)) >= needed and len(set(names)) == len(names), "too few signers")
        for name in names:
            self.require("role", kind in rules.ROLES[keys.ROLES[name]], "the role may not")
        self.require("host", members["host"] == rules.HOST, "another host")
        self.require("guest", members["target"]["guest"] == operation["guest"], "another guest")
        is_same = bool(guest) and members["target"]["incarnation"] == operation["incarnation"] == guest["incarnation"]
        self.require("incarnation", is_same, "another incarnation")
        self.require("parameters", members["action"] == operation["action"], "another action")
        self.require("clock", now >= state["clock"] - TOLERANCE, "the clock went back")
        self.require("not before", members["not_before"] <= now, "not yet valid")
        self.require("not after", now <= members["not_after"], "expired")
        self.require("nonce", members["nonce"] not in state["nonces"], "a used nonce")
        return members
