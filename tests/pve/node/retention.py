# SPDX-License-Identifier: MIT
"""Which backups a rule such as keep-last=3,keep-daily=7 keeps."""

import time

PERIODS = (("keep-hourly", "%Y %j %H"), ("keep-daily", "%Y %j"), ("keep-weekly", "%G %V"), ("keep-monthly", "%Y %m"),
           ("keep-yearly", "%Y"))


def parse(rule):
    return {key: int(value) for key, _, value in (part.partition("=") for part in rule.split(","))}


def backups_of(storage, vmid=None, kind=None):
    return [volume for volume in storage.volumes.values() if volume.content == "backup" and vmid in (None, volume.vmid)
            and kind in (None, volume.archive.kind)]


def marks(storage, rule, vmid=None, kind=None):
    """volid -> keep, remove or protected."""
    wanted, found, groups = parse(rule), {}, {}
    for volume in backups_of(storage, vmid, kind):
        groups.setdefault((volume.archive.kind, volume.vmid), []).append(volume)
    for group in groups.values():
        group.sort(key=lambda volume: volume.ctime, reverse=True)
        found |= {volume.volid: "protected" for volume in group if volume.protected}
        open_ones = [volume for volume in group if not volume.protected]
        everything = wanted.get("keep-all") or not any(wanted.values())
        kept = {volume.volid for volume in open_ones} if everything else set()
        kept |= {volume.volid for volume in open_ones[:wanted.get("keep-last", 0)]}
        for name, pattern in PERIODS:
            keep_by_period(open_ones, kept, wanted.get(name, 0), pattern)
        found |= {volume.volid: "keep" if volume.volid in kept else "remove" for volume in open_ones}
    return found


def keep_by_period(volumes, kept, count, pattern):
    """The newest of each period that has none yet, until there are so many."""
    covered = {period(volume, pattern) for volume in volumes if volume.volid in kept}
    added = set()
    for volume in volumes:
        of = period(volume, pattern)
        if len(added) < count and of not in covered and of not in added:
            added.add(of)
            kept.add(volume.volid)


def period(volume, pattern):
    return time.strftime(pattern, time.gmtime(volume.ctime))
