"""What must hold after a fault, asked of a running server over both its doors (reliability.md 4.2).

    I1  what was acknowledged comes back by WADO-RS and C-GET, with the bytes that were sent
    I2  what is listed can be fetched whole, and is what its digest says
    I3  rows and files agree; counts are those of what is there
    I4  what was not acknowledged is wholly there or wholly absent, and can be sent again
    I5  one stored copy of an instance, and never another's bytes
    I6  nothing is left in the spool
    I7  what was deleted is gone

`check` answers with a report; `assert report.ok, report` shows what is wrong, and with which instance.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reliability import dimse, on_disk, web
from reliability.ledger import Entry, Ledger
from reliability.objects import SOP_CLASSES
from reliability.on_disk import Found
from reliability.target import Target
from reliability.web import Web, data_set_of, uid_of, values

_LEVEL, _STUDY = 0x00080052, 0x0020000D
_NUMBER_OF_INSTANCES = 0x00201208
_MOST_SHOWN = 20


@dataclass
class Report:
    """`violations`: by invariant, one line each. The numbers say how much was looked at."""

    violations: dict[str, list[str]] = field(default_factory=dict)
    acknowledged: int = 0
    unanswered: int = 0
    there_unanswered: int = 0
    """Of those that were not acknowledged, so many are there."""
    orphans: int = 0
    """Files to which nothing points, which are nobody's object."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.violations.values())

    def add(self, invariant: str, line: str) -> None:
        """Something is wrong."""
        self.violations.setdefault(invariant, []).append(line)

    @property
    def lost(self) -> int:
        """So many acknowledged objects are gone or are not what they were."""
        return len(self.violations.get("I1", []))

    def __str__(self) -> str:
        lines = [f"{self.acknowledged} acknowledged, {self.unanswered} unanswered, {self.orphans} orphans"]
        for invariant, found in sorted(self.violations.items()):
            lines += [f"{invariant}: {line}" for line in found[:_MOST_SHOWN]]
            lines += [f"{invariant}: … {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
        return "\n".join(lines)


def check(
    ledger: Ledger,
    target: Target,
    *,
    resend: bool = True,
    recovered: bool = False,
    whole: bool = True,
    orphans_before: int = 0,
) -> Report:
    """Ask all of it. With `resend` what was not acknowledged is sent again at the end, and entered in the ledger.

    `recovered`: the sweep has run, so that no file may be left to which nothing points; before, there may be one for
    each object that was not acknowledged, besides those that were there before. `whole`: look at all that the server
    has, and not only at the studies of which the ledger knows."""
    report = Report(acknowledged=ledger.acknowledged, unanswered=ledger.unanswered)
    entries = {entry.uid: entry for entry in ledger.entries()}
    studies = {entry.study for entry in entries.values()}
    listed = _listed(target, None if whole else studies, report)
    by_web = _retrieved(target, studies | set(listed), listed, report)
    _by_get(target, by_web, listed, report)
    for entry in entries.values():
        _judge(entry, by_web.get(entry.study, {}).get(entry.uid, []), report)
    if target.data is not None:
        found = on_disk.look(target, None if whole else set(entries))
        _on_disk(found, entries, 0 if recovered else ledger.unanswered + orphans_before, report)
    if resend:
        _send_again(ledger, target, report)
    return report


def check_served(ledger: Ledger, target: Target) -> Report:
    """Only whether what was acknowledged comes back by WADO-RS: long after the fault, of much that was sent."""
    report = Report(acknowledged=ledger.acknowledged, unanswered=ledger.unanswered)
    entries = ledger.entries()
    with Web(target) as asked:
        brought = {study: _by_wado(asked, study, set(), report) for study in {one.study for one in entries}}
    for entry in entries:
        _judge(entry, brought[entry.study].get(entry.uid, []), report)
    return report


def _listed(target: Target, only: set[str] | None, report: Report) -> dict[str, set[str]]:
    """The instances of these studies, or of all, by QIDO-RS; C-FIND and the counts must say the same."""
    found: dict[str, set[str]] = {}
    with Web(target) as asked:
        for study in _studies(asked, only):
            uid = values(study, "0020000D")
            listed = [values(one, "00080018") for one in asked.search(f"/studies/{uid}/instances")]
            found[uid] = set(listed)
            _no_two(listed, f"QIDO-RS, study {uid}", report)
            if values(study, "00201208") != str(len(listed)):
                report.add("I3", f"study {uid}: {values(study, '00201208')} instances, {len(listed)} listed")
    counted = _counted(target, only)
    for uid in set(counted) ^ set(found):
        report.add("I3", f"study {uid}: listed by only one of QIDO-RS and C-FIND")
    for uid in set(counted) & set(found):
        if counted[uid] and counted[uid] != str(len(found[uid])):
            report.add("I3", f"study {uid}: {counted[uid]} instances by C-FIND, {len(found[uid])} listed")
    return found


def _studies(asked: Web, only: set[str] | None) -> list[dict[str, Any]]:
    path = "/studies?includefield=00201208"
    if only is None:
        return asked.search(path)
    return [one for uid in sorted(only) for one in asked.search(f"{path}&StudyInstanceUID={uid}", limit=10)]


def _counted(target: Target, only: set[str] | None) -> dict[str, str]:
    """By study how many instances C-FIND says it has."""
    with dimse.asking(target) as association:
        keys = [{_LEVEL: "STUDY", _STUDY: uid, _NUMBER_OF_INSTANCES: ""} for uid in sorted(only or {""})]
        found = [one for each in keys for one in association.find(each)] if only != set() else []
    return {one[_STUDY]: one.get(_NUMBER_OF_INSTANCES, "").strip() for one in found}


def _retrieved(
    target: Target, studies: Iterable[str], listed: dict[str, set[str]], report: Report
) -> dict[str, dict[str, list[str]]]:
    """By study and instance the digests of what WADO-RS brings, which must be all that is listed."""
    found: dict[str, dict[str, list[str]]] = {}
    with Web(target) as asked:
        for study in sorted(studies):
            found[study] = brought = _by_wado(asked, study, listed.get(study, set()), report)
            for uid in sorted(listed.get(study, set()) - set(brought)):
                report.add("I2", f"{uid}: listed, and WADO-RS does not bring it")
            for uid in sorted(set(brought) - listed.get(study, set())):
                report.add("I2", f"{uid}: brought by WADO-RS, and not listed")
            _no_two([uid for uid, digests in brought.items() for _ in digests], "WADO-RS", report)
    return found


def _by_wado(asked: Web, study: str, listed: set[str], report: Report) -> dict[str, list[str]]:
    """Of a whole study; instance by instance where that breaks off, so that only what is damaged is named."""
    brought: dict[str, list[str]] = {}
    try:
        for file in asked.retrieve(f"/studies/{study}"):
            brought.setdefault(uid_of(file), []).append(_digest(file))
    except web.Refused as refused:
        if refused.status not in (404, 410) or listed:
            brought = _one_by_one(asked, study, listed, report)
    except (OSError, EOFError, ValueError):
        brought = _one_by_one(asked, study, listed, report)
    return brought


def _one_by_one(asked: Web, study: str, listed: set[str], report: Report) -> dict[str, list[str]]:
    brought: dict[str, list[str]] = {}
    series = {
        values(one, "00080018"): values(one, "0020000E")
        for one in asked.search(f"/studies/{study}/instances")
    }
    for uid in sorted(listed):
        try:
            files = asked.retrieve(f"/studies/{study}/series/{series[uid]}/instances/{uid}")
            brought[uid] = [_digest(file) for file in files]
        except (OSError, EOFError, ValueError) as error:
            report.add("I2", f"{uid}: {error}")
    return brought


def _by_get(
    target: Target, by_web: dict[str, dict[str, list[str]]], listed: dict[str, set[str]], report: Report
) -> None:
    """C-GET must bring the same bytes."""
    for study in sorted(listed):
        brought: dict[str, list[str]] = {}
        try:
            with dimse.asking(target, SOP_CLASSES) as association:
                for uid, data_set in association.get({_LEVEL: "STUDY", _STUDY: study}):
                    brought.setdefault(uid, []).append(hashlib.sha256(data_set).hexdigest())
        except OSError as error:
            report.add("I1", f"study {study}: C-GET: {error}")
        for uid in sorted({*brought, *by_web[study]}):
            if brought.get(uid) != by_web[study].get(uid):
                report.add("I1", f"{uid}: WADO-RS and C-GET do not bring the same")


def _judge(entry: Entry, brought: list[str], report: Report) -> None:
    """What became of one instance that was sent."""
    if any(digest not in entry.contents for digest in brought):
        report.add("I1", f"{entry.uid}: bytes that nobody has sent under this UID")
    elif entry.deleted:
        if brought:
            report.add("I7", f"{entry.uid}: deleted, and still there")
    elif entry.is_due and not brought:
        report.add("I1", f"{entry.uid}: acknowledged, and lost")
    elif entry.is_due and not set(brought) & set(entry.acknowledged):
        report.add("I1", f"{entry.uid}: what was acknowledged was exchanged for what was not")
    elif brought and not entry.acknowledged:
        report.there_unanswered += 1


def _on_disk(found: Found, entries: dict[str, Entry], most_orphans: int, report: Report) -> None:
    for line in found.wrong:
        report.add("I3", line)
    report.orphans = len(found.orphans)
    if report.orphans > most_orphans:
        report.add("I3", f"{report.orphans} files to which nothing points, where {most_orphans} are possible")
    for uid, digest in found.digests.items():
        if uid in entries and digest not in entries[uid].contents:
            report.add("I5", f"{uid}: the digest in the index is of nothing that was sent")


def _send_again(ledger: Ledger, target: Target, report: Report) -> None:
    """As its sender does, who heard nothing: the answer is Success, and the object is there."""
    unanswered = [
        (entry, digest, data_set)
        for entry in ledger.entries()
        if not entry.acknowledged and not entry.deleting
        for digest, data_set in entry.contents.items()
        if digest == entry.latest
    ]
    if not unanswered:
        return
    with dimse.storing(target, SOP_CLASSES) as association:
        for entry, digest, data_set in unanswered:
            status = association.store(entry.sop_class or SOP_CLASSES[0], entry.uid, data_set)
            ledger.answered(entry.uid, status, digest)
            if status:
                report.add("I4", f"{entry.uid}: sent again, and answered {status:04X}")
    with Web(target) as asked:
        for entry, digest, _ in unanswered:
            path = f"/studies/{entry.study}/series/{entry.series}/instances/{entry.uid}"
            try:
                brought = [_digest(file) for file in asked.retrieve(path)]
            except (OSError, EOFError) as error:
                report.add("I4", f"{entry.uid}: sent again, and {error}")
                continue
            if brought != [digest]:
                report.add("I4", f"{entry.uid}: sent again, and not what was sent")


def _no_two(uids: list[str], where: str, report: Report) -> None:
    for uid, times in Counter(uids).items():
        if times > 1:
            report.add("I5", f"{uid}: {times} times in {where}")


def _digest(file: bytes) -> str:
    return hashlib.sha256(data_set_of(file)).hexdigest()
