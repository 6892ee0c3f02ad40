"""`archive export`: instances as a file-set with a DICOMDIR, read back before it counts as complete.

    each instance: its stored bytes checked -> file -> noted    then all of them: README.TXT, the directory
      -> every file read from the medium and compared -> the directory gets its name

So a medium with a DICOMDIR is whole. An instance that cannot be had stops the export before that, unless it is to be
finished without: then its absence is told, on the medium as well.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from archive.cli import progress
from archive.cli.export_readme import counted, readme
from archive.cli.export_targets import README, Entry, Target
from archive.dicom.errors import ArchiveError, CannotUnderstand, NotAcceptable, OutOfResources
from archive.dicom.instance import StoredInstance
from archive.dicom.part10 import FileMetaReader
from archive.dicom.reading.directory import DirectoryReader
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing.dicomdir import FILE_NAME, ReferencedFile
from archive.services import file_sets
from archive.services.file_sets import FileID, FileIDs
from archive.services.media import Form, Media
from archive.services.retrieve import Retrieve

DIFFERS = "does not read back as it was written: try another disk, and run the same command again"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported, and how. `incomplete`: finish without what cannot be had."""

    instances: Sequence[StoredInstance]
    form: Form = Form.EXPLICIT
    label: str = ""
    contact: str = ""
    incomplete: bool = False


@dataclass(slots=True)
class Exported:
    """What became of it. `failed` has why, by SOP Instance UID; `as_stored` are files in a transfer syntax other than
    was wanted, as they could not be converted."""

    complete: bool = False
    interrupted: bool = False
    files: int = 0
    bytes: int = 0
    kept: int = 0
    patients: int = 0
    studies: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    as_stored: Counter[str] = field(default_factory=Counter)


class Export:
    """One run."""

    def __init__(self, retrieve: Retrieve, media: Media, target: Target, wanted: Wanted) -> None:
        self._retrieve = retrieve
        self._media = media
        self._target = target
        self._wanted = wanted
        self._entries: dict[str, Entry] = {}
        self.result = Exported()

    def run(self) -> Exported:
        """All of it, with a progress bar on stderr. Raises OutOfResources, ConfigurationError; then, and when it did
        not become complete, the target says where it can go on."""
        try:
            self._write_all()
            if not self.result.failed or (self._wanted.incomplete and self._entries):
                self._finish()
        except KeyboardInterrupt:
            self.result.interrupted = True
        finally:
            if not self.result.complete:
                self._target.leave()
        return self.result

    # --- the files ---

    def _write_all(self) -> None:
        left = self._begin()
        check_room(self._target, (instance for instance, _ in left))
        with progress.bar() as bar, ThreadPoolExecutor(self._target.writers) as executor:
            task = bar.add_task("Exporting", total=len(left))
            at_once = 2 * self._target.writers
            for instance, outcome in progress.as_done(executor, self._attempt, left, at_once):
                if isinstance(outcome, Entry):
                    self._entries[instance.SOPInstanceUID] = outcome
                    self._target.note(outcome)
                else:
                    self.result.failed[instance.SOPInstanceUID] = outcome
                bar.advance(task)

    def _begin(self) -> list[tuple[StoredInstance, FileID]]:
        """What is still to be written; what is there and not wanted any more goes."""
        wanted = {instance.blob_key: instance for instance in self._wanted.instances}
        kept = []
        for entry in self._target.known:
            instance = wanted.get(entry.blob_key)
            if instance is None:
                self._target.remove(entry)
            else:
                kept.append((instance, entry.file_id))
                self._entries[entry.SOPInstanceUID] = entry
        self.result.kept = len(kept)
        names = FileIDs(kept)
        return [
            (instance, names.of(instance))
            for instance in self._wanted.instances
            if instance.SOPInstanceUID not in self._entries
        ]

    def _attempt(self, item: tuple[StoredInstance, FileID]) -> tuple[StoredInstance, Entry | str]:
        """The file of one instance; or why it cannot be had."""
        instance, file_id = item
        try:
            self._media.check(instance)
            return instance, self._entry(instance, file_id)
        except OutOfResources:
            raise
        except ArchiveError as error:
            return instance, error.reason
        except Exception as error:  # noqa: BLE001 - a fault of ours with one object must not cost the others
            return instance, f"a fault of the archive ({type(error).__name__}): please report it"

    def _entry(self, instance: StoredInstance, file_id: FileID) -> Entry:
        *better, last = self._media.transfer_syntaxes(instance, self._wanted.form)
        for uid in better:
            try:
                return self._put(instance, file_id, uid)
            except (NotAcceptable, CannotUnderstand):
                continue
        return self._put(instance, file_id, last)

    def _put(self, instance: StoredInstance, file_id: FileID, uid: str) -> Entry:
        length, sha256 = self._target.put("/".join(file_id), self._media.file(instance, uid))
        return Entry(
            instance.blob_key,
            instance.StudyInstanceUID,
            instance.SeriesInstanceUID,
            instance.SOPInstanceUID,
            file_id,
            uid,
            length,
            sha256,
        )

    # --- what makes a file-set of them ---

    def _finish(self) -> None:
        instances = [one for one in self._wanted.instances if one.SOPInstanceUID in self._entries]
        entries = [self._entries[one.SOPInstanceUID] for one in instances]
        files = [
            ReferencedFile(entry.file_id, one.SOPClassUID, one.SOPInstanceUID, entry.transfer_syntax_uid)
            for one, entry in zip(instances, entries, strict=True)
        ]
        directory = file_sets.directory(self._retrieve, instances, files, self._wanted.label)
        self._tell(instances, entries, directory.patients)
        text = readme(self.result, self._wanted.contact).encode("ascii", "replace")
        put = self._target.put
        others = {
            README: put(README, iter([text])),
            FILE_NAME: put(FILE_NAME, directory.encoded()[1]),
        }
        self._target.written()
        self._read_back(instances, entries, others)
        self._target.publish()
        self.result.complete = True

    def _tell(self, instances: Sequence[StoredInstance], entries: Sequence[Entry], patients: int) -> None:
        result, form = self.result, self._wanted.form
        result.patients, result.files = patients, len(entries)
        result.studies = len({one.StudyInstanceUID for one in instances})
        result.bytes = sum(entry.length for entry in entries)
        for one, entry in zip(instances, entries, strict=True):
            if entry.transfer_syntax_uid != self._media.transfer_syntaxes(one, form)[0]:
                result.as_stored[entry.transfer_syntax_uid] += 1

    def _read_back(
        self,
        instances: Sequence[StoredInstance],
        entries: Sequence[Entry],
        others: dict[str, tuple[int, str]],
    ) -> None:
        """Raises OutOfResources when anything is not as it was written."""
        for name, (_, sha256) in others.items():
            if _digest(self._target.read(name)) != sha256:
                raise OutOfResources(f"{self._target.path}: {name} {DIFFERS}")
        self._compare_directory(entries)
        with progress.bar() as bar, ThreadPoolExecutor(self._target.writers) as executor:
            task = bar.add_task("Reading back", total=len(entries))
            pairs = zip(instances, entries, strict=True)
            at_once = 2 * self._target.writers
            for entry, same in progress.as_done(executor, self._is_same, pairs, at_once):
                if not same:
                    self._target.remove(entry)
                    raise OutOfResources(f"{self._target.path}: {entry.name} {DIFFERS}")
                bar.advance(task)

    def _compare_directory(self, entries: Sequence[Entry]) -> None:
        reader = DirectoryReader()
        for piece in self._target.read(FILE_NAME):
            reader.feed(piece)
        listed = {(one.file_id, one.SOPInstanceUID) for one in reader.finish()}
        if listed != {(entry.file_id, entry.SOPInstanceUID) for entry in entries}:
            raise OutOfResources(f"{self._target.path}: the DICOMDIR {DIFFERS}")

    def _is_same(self, pair: tuple[StoredInstance, Entry]) -> tuple[Entry, bool]:
        """Whether the file has the bytes that were written, and they are an object that is the instance."""
        instance, entry = pair
        meta, digest = FileMetaReader(), hashlib.sha256()
        reader: DataSetReader | None = None
        try:
            for piece in self._target.read(entry.name):
                digest.update(piece)
                if reader is None:
                    if not meta.feed(piece):
                        continue
                    reader, piece = DataSetReader(meta.meta.transfer_syntax_uid), meta.rest  # noqa: PLW2901
                reader.feed(piece)
            found = reader.finish() if reader is not None else None
        except CannotUnderstand:
            return entry, False
        same_object = found is not None and (
            found.SOPInstanceUID,
            found.SOPClassUID,
            found.StudyInstanceUID,
        ) == (instance.SOPInstanceUID, instance.SOPClassUID, instance.StudyInstanceUID)
        same_syntax = meta.meta.transfer_syntax_uid == entry.transfer_syntax_uid
        return entry, same_object and same_syntax and digest.hexdigest() == entry.sha256


def check_room(target: Target, instances: Iterator[StoredInstance]) -> None:
    """Raises OutOfResources when not even the stored bytes would fit."""
    wanted = sum(instance.blob_length for instance in instances)
    folder = target.path if target.path.is_dir() else target.path.parent
    free = shutil.disk_usage(folder).free
    if wanted > free and target.writers > 1:
        raise OutOfResources(
            f"{folder} has {megabytes(free)} free, and {megabytes(wanted)} are needed: make room, or export less"
        )


def megabytes(length: int) -> str:
    """As people say it."""
    return f"{length / 1e6:,.1f} MB"


def _digest(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def summary(result: Exported, target: Target, names: int | None) -> str:
    """What was exported, and what was not."""
    lines = []
    if result.complete:
        lines.append(f"{target.path}: {counted(result)}, {megabytes(result.bytes)}, read back and compared.")
    for uid, count in result.as_stored.items():
        lines.append(f"As stored, for want of a decoder: {count} in {transfer_syntax(uid).name} ({uid})")
    lines += _failures(result, names)
    if result.interrupted:
        lines.append("Interrupted. Run the same command again to go on.")
    elif not result.complete:
        lines.append(
            "Not complete, so there is no DICOMDIR. Mend that, or add --incomplete, and run it again."
        )
    return "\n".join(lines)


def _failures(result: Exported, names: int | None) -> Iterator[str]:
    for reason, count in Counter(result.failed.values()).items():
        yield f"Not exported: {reason} ({count})"
        uids = [uid for uid, why in sorted(result.failed.items()) if why == reason]
        yield from (f"  {uid}" for uid in uids[:names])
        if names is not None and len(uids) > names:
            yield f"  … and {len(uids) - names} more (--verbose names them)"
