# SPDX-License-Identifier: MIT
"""Whether the stand-in's answer is the recorded one, after what is inherently fresh was exchanged.

Fresh is the process id and times of a UPID, a digest, a MAC, a uuid, a fingerprint, the time in a backup's name. Such a
value that was recorded stands for one of the stand-in's, and that for it: in a scenario's answers and requests.
"""

import json
import re

STABLE = {
    "upid": r"UPID:[\w-]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:\s]+:[^:\s]*:[^:\s]+:",
    "fingerprint": r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}",
    "uuid": r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
    "digest": r"\b[0-9a-f]{40}\b",
    "mac": r"\b[Bb][Cc]:24:11(?::[0-9A-Fa-f]{2}){3}\b",
    "created": r"(?<=ctime=)\d{10}",
    "stamp": r"(?<=-)\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d",
}
VOLATILE = {
    "moment": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "rate": r"\b\d+MiB/s",
    "duration": r"\(\d\d:\d\d:\d\d\)",
    "pem": r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n",
}
TOKENS = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in (STABLE | VOLATILE).items()))
MOMENTS = {"starttime", "endtime", "ctime", "snaptime", "time", "localtime"}
FIGURES = {"pid", "pstart", "cpu", "mem", "disk", "used", "avail", "used_fraction", "free", "available", "uptime",
           "notbefore", "notafter", "uid", "wait", "idle"}
"""Numbers of the machine or of the moment: their type counts."""
ORDERED = ("upid", "n", "msg")
IDENTITIES = ("volid", "key", "ugid", "vmid", "id", "subdir", "cmd", "filename", "storage", "iface", "name", "node")
HEADERS = ("Content-Type", "Connection", "Content-Encoding")


def pieces(text):
    """[(kind, text)], with kind None for what is literal."""
    found, at = [], 0
    for token in TOKENS.finditer(text):
        found += [(None, text[at:token.start()]), (token.lastgroup, token[0])]
        at = token.end()
    return [*found, (None, text[at:])]


def sorted_command(line):
    """Options of a command in a log stand in the order of chance."""
    head, *options = line.split(" --")
    return " --".join([head, *sorted(options)])


def settled_lines(rows):
    """Log lines without what is in the order of chance: a command's options, the findings about a property string."""
    texts = [sorted_command(row["t"]) if "starting new backup job" in row["t"] else row["t"] for row in rows]
    at = 0
    while at < len(texts):
        end = at
        while end < len(texts) and re.match(r"\w+: property is ", texts[end]):
            end += 1
        texts[at:end] = sorted(texts[at:end])
        at = max(end, at + 1)
    return [row | {"t": text} for row, text in zip(rows, texts)]


class Exchange:
    """What recorded values stand for."""

    def __init__(self):
        self.ours, self.theirs = {}, {}

    def meet(self, kind, recorded, own):
        if kind == "mac":
            recorded, own = recorded.upper(), own.upper()
        if kind == "upid" and [part for n, part in enumerate(recorded.split(":")) if n not in (2, 3, 4)] != [
                part for n, part in enumerate(own.split(":")) if n not in (2, 3, 4)]:
            return f"{own} is no counterpart of {recorded}"
        known = self.ours.setdefault((kind, recorded), own), self.theirs.setdefault((kind, own), recorded)
        if known != (own, recorded):
            return f"{kind} {own}: the recorded {recorded} was {self.ours.get((kind, recorded))}"
        return None

    def translated(self, text, quote=lambda part: part):
        """A request's text with our own values in the place of recorded ones."""
        for (_, recorded), own in sorted(self.ours.items(), key=lambda pair: -len(pair[0][1])):
            text = text.replace(quote(recorded), quote(own))
        return text

    # -- answers

    def differences(self, recorded, own):
        """Of two answers (status, reason, headers, body): what is not the same, in words."""
        found = []
        if recorded["status"] != own["status"]:
            found.append(f"status {own['status']} {own['reason']}, recorded {recorded['status']} {recorded['reason']}")
        elif recorded["status"]:
            found += self.texts("reason", recorded["reason"], own["reason"])
        for name in HEADERS:
            if recorded["headers"].get(name) != own["headers"].get(name):
                found.append(f"{name}: {own['headers'].get(name)}, recorded {recorded['headers'].get(name)}")
        if "leaf" in recorded:
            found += self.texts("certificate", recorded["leaf"], own["leaf"])
        return found + self.bodies(recorded["body"], own["body"])

    def bodies(self, recorded, own):
        parsed = []
        for text in (recorded, own):
            try:
                parsed.append(json.loads(text or ""))
            except ValueError:
                settled = ("\n".join(map(sorted_command, (text or "").split("\n"))) for text in (recorded, own))
                return self.texts("body", *settled)
        return self.values("", *parsed)

    def texts(self, where, recorded, own):
        one, other = pieces(recorded), pieces(own)
        if [(kind, kind or text) for kind, text in one] != [(kind, kind or text) for kind, text in other]:
            return [f"{where}: {own!r}, recorded {recorded!r}"]
        met = [self.meet(kind, text, other[at][1]) for at, (kind, text) in enumerate(one) if kind in STABLE]
        return [f"{where}: {problem}" for problem in met if problem]

    def values(self, where, recorded, own):
        key = where.rpartition(".")[2]
        if isinstance(recorded, dict) and isinstance(own, dict):
            return self.objects(where, recorded, own)
        if isinstance(recorded, list) and isinstance(own, list):
            return self.lists(where, recorded, own)
        if type(recorded) is not type(own) and not {type(recorded), type(own)} <= {int, float}:
            return [f"{where}: {own!r}, recorded {recorded!r}"]
        if isinstance(recorded, str):
            if key == "content":
                recorded, own = (",".join(sorted(text.split(","))) for text in (recorded, own))
            if key in ("loadavg", "flags", "uid", "id") and not (key == "id" and not recorded.endswith(":pve1")):
                return []
            return self.texts(where, recorded, own)
        if key in MOMENTS and recorded and own:
            return [] if abs(recorded - own) <= 2 else [f"{where}: {own}, recorded {recorded}"]
        if key in FIGURES or recorded == own:
            return []
        return [f"{where}: {own!r}, recorded {recorded!r}"]

    def objects(self, where, recorded, own):
        found = []
        if set(recorded) != set(own):
            more, less = sorted(set(own) - set(recorded)), sorted(set(recorded) - set(own))
            found.append(f"{where}: keys {more} more, {less} less")
        for key in sorted(set(recorded) & set(own)):
            if key == "size" and ("subtype" in recorded or "/dump/" in str(own.get("path"))):
                continue  # of an archive: how well it was packed
            found += self.values(f"{where}.{key}", recorded[key], own[key])
        return found

    def lists(self, where, recorded, own):
        if len(recorded) != len(own):
            return [f"{where}: {len(own)} rows, recorded {len(recorded)}: {json.dumps(own)[:600]}"]
        if recorded and all(isinstance(row, dict) and "t" in row and "n" in row for row in [*recorded, *own]):
            recorded, own = settled_lines(recorded), settled_lines(own)
        elif recorded and all(isinstance(row, dict) and not set(ORDERED) & set(row) for row in [*recorded, *own]):
            name = next((name for name in IDENTITIES if name in recorded[0]), None)
            recorded, own = (sorted(rows, key=lambda row: str(row.get(name))) for rows in (recorded, own))
        elif where.endswith("loadavg"):
            return []
        return [line for at, pair in enumerate(zip(recorded, own)) for line in self.values(f"{where}[{at}]", *pair)]
