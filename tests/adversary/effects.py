# SPDX-License-Identifier: MIT
"""What was done to the world, read from the world's file: its own record of actions, and whether that tells of every change."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Effect:
    """An action that the platform took. `incarnation`: of the guest as the platform found it, or as it was made. `failed`: it
    changed nothing."""
    kind: str
    guest: str
    incarnation: str
    action: dict
    failed: bool

    def __str__(self):
        parameters = "".join(f" {name}={value!r}" for name, value in self.action.items() if name != "kind")
        return f"{self.kind}{parameters} of {self.guest} ({self.incarnation}){', which failed' if self.failed else ''}"


def since(before, after):
    """The effects between two readings, in their order."""
    new = [told for note, told in after.get("actions", {}).items() if note not in before.get("actions", {})]
    if not all({"action", "incarnation"} <= set(told) for told in new):
        raise ValueError("the simulated platform's record of an action lacks its parameters or incarnation (protocol.py)")
    return [Effect(told["kind"], told["guest"], told["incarnation"] or "", told["action"], "error" in told) for told in new]


CHANGES = {"power": {"start", "stop", "resume"}, "config": {"set-config", "grow", "rollback"}}


def untold(before, after):
    """What changed between two readings, and no action tells of: sentences."""
    done = {}
    for effect in since(before, after):
        if not effect.failed:
            done.setdefault(effect.guest, set()).add(effect.kind)
    problems = []
    for name in sorted({*before["guests"], *after["guests"]}):
        was, now, kinds = before["guests"].get(name), after["guests"].get(name), done.get(name, set())
        if was and (not now or now["incarnation"] != was["incarnation"]):
            if "destroy" not in kinds:
                problems.append(f"{name} is gone, and nothing destroyed it")
        elif now and not was:
            if not kinds & {"create", "restore"}:
                problems.append(f"{name} is there, and nothing made it")
        else:
            problems += [f"{name} has another {part}, and nothing changed it"
                         for part, by in CHANGES.items() if was.get(part) != now.get(part) and not kinds & by]
            lost = set(was.get("snapshots", {})) - set(now.get("snapshots", {}))
            if lost and "delete-snapshot" not in kinds:
                problems.append(f"{name} lost {', '.join(sorted(lost))}, and nothing deleted it")
    lost = set(before.get("backups", {})) - set(after.get("backups", {}))
    if lost and not any("delete-backup" in kinds for kinds in done.values()):
        problems.append(f"{', '.join(sorted(lost))} is gone, and nothing deleted it")
    return problems
