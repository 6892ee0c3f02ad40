"""`archive import`: files, folders, zip files and media through the same ingest as every door, several at a time.

Several threads, because an object waits for the disk most of the time and commits that wait together are
grouped. It may be interrupted and run again: what is there already is only compared.

Of a medium, all that is stored on it is imported, and what its DICOMDIR names besides is told to be missing: else a
scratched CD would look like a smaller study.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from archive.cli import media, progress
from archive.cli.media import UNREADABLE, Medium
from archive.cli.sources import File, Gathered
from archive.cli.tables import printable
from archive.dicom.errors import ArchiveError, NotDicom
from archive.dicom.instance import Source
from archive.services.ingest import Ingest
from archive.services.receipts import Receipt
from archive.services.reconciling import LeftOut

PIECE = 1 << 20
THREADS = 4
NAMES = 20
"""Files named for each reason, unless all are asked for."""

KEPT_ASIDE = "its identifiers are taken; see `archive conflicts list --all`"
KEPT_FOR_NOTE = "a rejection note was here before it; see `archive rejections`"
UNCHANGED = (
    "stored before, and says something else of its patient or order: change that with `archive patients`"
)
NO_DIRECTORY = "this DICOMDIR cannot be read, so nobody can tell whether files are missing: {}"


class Fate(enum.Enum):
    """What became of a file."""

    STORED = "Stored"
    ALREADY_THERE = "Already there"
    KEPT_ASIDE = "Kept aside"
    REFUSED = "Refused"
    NOT_DICOM = "Not DICOM"
    MISSING = "Missing"
    UNCHANGED = "Unchanged"
    LEFT_OUT = "Left out"


FAILED = (Fate.REFUSED, Fate.MISSING, Fate.UNCHANGED)
_TOLD = (Fate.REFUSED, Fate.MISSING, Fate.UNCHANGED, Fate.KEPT_ASIDE, Fate.NOT_DICOM)
_SELDOM = frozenset((Fate.MISSING, Fate.UNCHANGED, Fate.LEFT_OUT))
"""Not counted where there is none."""


@dataclass(frozen=True, slots=True)
class Result:
    """One file, and why it was not stored; or which instance it is."""

    path: Path
    fate: Fate
    reason: str = ""
    SOPInstanceUID: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the files; `interrupted` when some were not reached."""

    results: Sequence[Result]
    interrupted: bool = False


Differs = Callable[[str], bool]
"""Whether an instance that was stored before says something else than is wanted now."""


def run(ingest: Ingest, gathered: Gathered, differs: Differs = lambda _: False) -> Report:
    """Store the files, with a progress bar on stderr. Ctrl-C ends it after the files at hand."""
    results: list[Result] = []
    with progress.bar() as bar, ThreadPoolExecutor(THREADS) as executor:
        task = bar.add_task("Importing", total=len(gathered.files))
        try:
            for result in progress.as_done(
                executor, lambda file: store(ingest, file, differs), gathered.files, 2 * THREADS
            ):
                results.append(result)
                bar.advance(task)
        except KeyboardInterrupt:
            return Report(results, interrupted=True)
    return Report([*results, *_missing(gathered.media, results)])


def store(ingest: Ingest, file: File, differs: Differs) -> Result:
    """Store one file."""
    path = file.path
    if file.refused:
        return Result(path, Fate.REFUSED, file.refused)
    try:
        with file.open() as opened, ingest.part10(Source("IMPORT")) as reception:
            while piece := opened.read(PIECE):
                reception.write(piece)
            receipt = reception.finish()
        return _stored(path, receipt, differs)
    except NotDicom as error:
        return Result(path, Fate.NOT_DICOM, error.reason)
    except LeftOut as error:
        return Result(path, Fate.LEFT_OUT, error.reason)
    except ArchiveError as error:
        return Result(path, Fate.REFUSED, error.reason)
    except UNREADABLE as error:
        why = getattr(error, "strerror", None) or f"damaged ({type(error).__name__})"
        return Result(path, Fate.REFUSED, f"cannot be read: {why}")
    except Exception as error:  # noqa: BLE001 - a fault of ours with one file must not cost the thousands after it
        return Result(
            path, Fate.REFUSED, f"a fault of the archive ({type(error).__name__}): please report it"
        )


def _stored(path: Path, receipt: Receipt, differs: Differs) -> Result:
    uid = receipt.SOPInstanceUID
    if receipt.kept_aside:
        return Result(path, Fate.KEPT_ASIDE, KEPT_FOR_NOTE if receipt.for_note else KEPT_ASIDE, uid)
    if not receipt.already_there:
        return Result(path, Fate.STORED, "", uid)
    return Result(path, *((Fate.UNCHANGED, UNCHANGED) if differs(uid) else (Fate.ALREADY_THERE, "")), uid)


def _missing(several: Iterable[Medium[File]], results: Iterable[Result]) -> Iterator[Result]:
    """What the directories of media name, and nobody brought."""
    found = {result.path: result.SOPInstanceUID for result in results}
    there = set(found.values())
    for medium in several:
        if medium.fault:
            yield Result(medium.path, Fate.REFUSED, NO_DIRECTORY.format(medium.fault))
        for path, reason in medium.missing:
            yield Result(path, Fate.MISSING, reason)
        for listed, file in medium.listed:
            is_another = found.get(file.path) not in ("", listed.SOPInstanceUID)
            if is_another and listed.SOPInstanceUID and listed.SOPInstanceUID not in there:
                yield Result(file.path, Fate.MISSING, media.ANOTHER, listed.SOPInstanceUID)


def summary(report: Report, names: int | None = NAMES) -> str:
    """How many of each, then each reason with its files; at most `names` files for a reason."""
    counts = Counter(result.fate for result in report.results)
    lines = [f"{fate.value:<14}{counts[fate]:>8}" for fate in Fate if counts[fate] or fate not in _SELDOM]
    for fate in _TOLD:
        for reason, paths in _by_reason(report.results, fate).items():
            lines += ["", f"{fate.value}: {reason} ({len(paths)})", *_named(sorted(paths), names)]
    if report.interrupted:
        lines += ["", "Interrupted. What was stored stays; run it again for the rest."]
    return "\n".join(lines)


def _by_reason(results: Iterable[Result], fate: Fate) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for result in results:
        if result.fate is fate:
            groups.setdefault(result.reason, []).append(result.path)
    return groups


def _named(paths: Sequence[Path], names: int | None) -> list[str]:
    shown = [f"  {printable(str(path))}" for path in paths[:names]]
    more = len(paths) - len(shown)
    return [*shown, f"  … and {more} more (--verbose names them)"] if more else shown


def exit_code(report: Report) -> int:
    """1 when an object was refused or is missing, or some were not reached. No fault: a file that is no DICOM, as
    folders hold all sorts of things."""
    return int(report.interrupted or any(result.fate in FAILED for result in report.results))
