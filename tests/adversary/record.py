# SPDX-License-Identifier: MIT
"""The agent's record of its decisions: lines of JSON, each with the SHA-256 of the line before it."""

import hashlib
import json

NAME = "state/agent/audit.jsonl"


def read(path):
    """(its lines' members, what is wrong with the chain: a sentence, or None). What a death left of a line does not count."""
    text = path.read_text() if path.exists() else ""
    lines, found, previous = text.split("\n")[:-1], [], "0" * 64
    for number, line in enumerate(lines, 1):
        try:
            members = json.loads(line)
        except ValueError:
            return found, f"line {number} of the record is no JSON"
        if (members.get("line"), members.get("previous")) != (number, previous):
            return found, f"line {number} of the record does not go with the line before it"
        found.append(members)
        previous = hashlib.sha256(line.encode()).hexdigest()
    return found, None


def permits(lines, kind, guest, incarnation):
    """How often that was permitted."""
    return sum(each.get("event") == "decision" and each.get("verdict") == "permitted" and each.get("change") == kind
               and each.get("target") == {"guest": guest, "incarnation": incarnation} for each in lines)
