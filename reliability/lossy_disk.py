"""A disk that forgets: what a power cut may leave of a folder, by the weakest promises a file system can make.

`Journal` notes what is done to the files of a folder while it is done. `remains` makes of it what a cut at any moment
may leave: all that was synced, and of the rest any part, in any order (as ALICE does, Pillai et al., OSDI 2014):

    fsync(file)     its bytes so far are safe, its name is not
    fsync(folder)   the entries made and removed in it so far are safe
    anything else   may be there after the cut or not, whatever came before or after it

Real file systems keep more than that; code that survives this one need not know which it has. What is there at the
beginning is safe. What the process does without Python's `os` (SQLite) is not noted; files that come about so have to
be named, or `noting` raises, for a call that went unnoticed would make every test of it worthless.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from unittest import mock

Kept = Callable[[], bool]
"""Whether something that was not synced is there after the cut; asked for each such thing in turn."""


@dataclass(eq=False)
class Inode:
    """A file or a folder, whatever its names are."""

    is_folder: bool


@dataclass(frozen=True)
class Added:
    """An entry was made."""

    path: str
    inode: Inode


@dataclass(frozen=True)
class Removed:
    """An entry was taken away."""

    path: str


@dataclass(frozen=True)
class Renamed:
    """An entry was moved, and replaced what was there: both or neither."""

    path: str
    source: str
    inode: Inode


@dataclass(frozen=True)
class Written:
    """Bytes of a file."""

    inode: Inode
    offset: int
    piece: bytes


@dataclass(frozen=True)
class Cut:
    """A file got this length."""

    inode: Inode
    length: int


@dataclass(frozen=True)
class Synced:
    """A file."""

    inode: Inode


@dataclass(frozen=True)
class FolderSynced:
    """The entries of a folder."""

    path: str


@dataclass(frozen=True)
class Mark:
    """Something that whoever tests has seen at this moment: an answer, for example."""

    what: Any


Entry = Added | Removed | Renamed
Content = Written | Cut
Event = Entry | Content | Synced | FolderSynced | Mark


class Journal:
    """What is done to the files below `root`, in its order."""

    def __init__(self, root: Path, besides: Sequence[str] = ()) -> None:
        """`besides`: patterns of names below the root that are none of its business."""
        self.root = root.resolve()
        self.events: list[Event] = []
        self.begun = 0
        """So many of the events only say what was there before."""
        self._besides = besides
        self._open: dict[int, Inode] = {}
        self._names: dict[str, Inode] = {}
        self._contents: dict[Inode, bytearray] = {}
        self._lock = threading.RLock()
        self.after_each: Callable[[], None] = lambda: None
        """Called after each call that was noted: here another process may come in between."""

    def mark(self, what: Any) -> None:
        """Note what has been seen."""
        with self._lock:
            self.events.append(Mark(what))

    @contextlib.contextmanager
    def noting(self) -> Iterator[Journal]:
        """Within it the calls of this process are noted. Nothing is really synced: that would only take time."""
        self._begin()
        calls: dict[str, Callable[..., Any]] = {
            "open": self._opened,
            "close": self._closed,
            "write": self._wrote,
            "pwrite": self._wrote_at,
            "ftruncate": self._cut,
            "fsync": self._synced,
            "fdatasync": self._synced,
            "link": self._linked,
            "unlink": self._removed,
            "remove": self._removed,
            "rmdir": self._removed,
            "rename": self._renamed,
            "replace": self._renamed,
            "mkdir": self._made,
        }
        with contextlib.ExitStack() as patched:
            for name, noted in calls.items():
                patched.enter_context(mock.patch.object(os, name, self._instead(getattr(os, name), noted)))
            yield self
        self._check_that_all_was_noted()

    def _instead(self, original: Callable[..., Any], noted: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            with self._lock:
                before = len(self.events)
                result = noted(original, *given, **named)
                was_noted = len(self.events) > before
            if was_noted:
                self.after_each()
            return result

        return call

    def _begin(self) -> None:
        for name, content in sorted(files(self.root, self._besides).items()):
            inode = Inode(content is None)
            self._enter(Added(name, inode))
            self.events.append(FolderSynced(_folder(name)))
            if content:
                self._put(Written(inode, 0, content))
                self.events.append(Synced(inode))
        self.begun = len(self.events)

    def _check_that_all_was_noted(self) -> None:
        there, noted = files(self.root, self._besides), remains(self.events, lambda: True).files
        differing = sorted(
            name for name in {*there, *noted} if there.get(name, b"-") != noted.get(name, b"-")
        )
        if differing:
            raise AssertionError(f"done without the journal: {differing[:5]}")

    def _name(self, path: Any) -> str | None:
        """Of a path below the root; None of any other."""
        if isinstance(path, int) or path is None:
            return None
        with contextlib.suppress(ValueError):
            name = Path(os.fsdecode(path)).relative_to(self.root).as_posix()
            return None if _is_besides(name, self._besides) else name
        return None

    def _enter(self, event: Entry) -> None:
        _apply(self._names, event)
        self.events.append(event)

    def _put(self, event: Content) -> None:
        _write(self._contents.setdefault(event.inode, bytearray()), event)
        self.events.append(event)

    def _opened(self, original: Any, path: Any, flags: int, *given: Any, **named: Any) -> int:
        name = self._name(path)
        descriptor: int = original(path, flags, *given, **named)
        self._open.pop(descriptor, None)
        if name is None:
            return descriptor
        if name not in self._names and name != ".":
            self._enter(Added(name, Inode(False)))
        inode = self._open[descriptor] = self._names.get(name) or Inode(True)
        if flags & os.O_TRUNC and not inode.is_folder:
            self._put(Cut(inode, 0))
        return descriptor

    def _closed(self, original: Any, descriptor: int) -> None:
        original(descriptor)
        self._open.pop(descriptor, None)

    def _wrote(self, original: Any, descriptor: int, piece: Any) -> int:
        inode = self._open.get(descriptor)
        offset = os.lseek(descriptor, 0, os.SEEK_CUR) if inode else 0
        written: int = original(descriptor, piece)
        if inode:
            self._put(Written(inode, offset, bytes(memoryview(piece)[:written])))
        return written

    def _wrote_at(self, original: Any, descriptor: int, piece: Any, offset: int) -> int:
        written: int = original(descriptor, piece, offset)
        if inode := self._open.get(descriptor):
            self._put(Written(inode, offset, bytes(memoryview(piece)[:written])))
        return written

    def _cut(self, original: Any, descriptor: int, length: int) -> None:
        original(descriptor, length)
        if inode := self._open.get(descriptor):
            self._put(Cut(inode, length))

    def _synced(self, original: Any, descriptor: int) -> None:
        inode = self._open.get(descriptor)
        if inode is None:
            original(descriptor)
        elif inode.is_folder:
            self.events.append(FolderSynced(self._name_of(descriptor)))
        else:
            self._note_buffered(descriptor, inode)
            self.events.append(Synced(inode))

    def _note_buffered(self, descriptor: int, inode: Inode) -> None:
        """What a file object has written past `os`."""
        content = Path(f"/proc/self/fd/{descriptor}").read_bytes()
        if content != self._contents.get(inode, b""):
            self._put(Cut(inode, len(content)))
            self._put(Written(inode, 0, content))

    def _name_of(self, descriptor: int) -> str:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}")).relative_to(self.root).as_posix()

    def _linked(self, original: Any, source: Any, path: Any, **named: Any) -> None:
        original(source, path, **named)
        self._known(path, source, lambda name, inode, _: Added(name, inode))

    def _renamed(self, original: Any, source: Any, path: Any, **named: Any) -> None:
        original(source, path, **named)
        self._known(path, source, lambda name, inode, former: Renamed(name, former, inode))

    def _known(self, path: Any, source: Any, event: Callable[[str, Inode, str], Entry]) -> None:
        name, former = self._name(path), self._name(source)
        if name is None or former is None:
            if name != former:
                raise AssertionError(f"a file came in from elsewhere, or went there: {source} {path}")
            return
        self._enter(event(name, self._names[former], former))

    def _removed(self, original: Any, path: Any, **named: Any) -> None:
        original(path, **named)
        if (name := self._name(path)) is not None:
            self._enter(Removed(name))

    def _made(self, original: Any, path: Any, *given: Any, **named: Any) -> None:
        original(path, *given, **named)
        if (name := self._name(path)) is not None:
            self._enter(Added(name, Inode(True)))


@dataclass(frozen=True)
class Left:
    """What a cut leaves: inodes by name, and the bytes of the files among them."""

    names: dict[str, Inode]
    contents: dict[Inode, bytearray]

    @property
    def files(self) -> dict[str, bytes | None]:
        """By name the bytes of each file, None of each folder."""
        return {name: self._content(inode) for name, inode in self.names.items()}

    def lay_out(self, root: Path) -> None:
        """Make a folder of it. Several names of one file stay that."""
        root.mkdir(mode=0o700)
        first: dict[Inode, Path] = {}
        for name, inode in sorted(self.names.items()):
            content = self._content(inode)
            if content is None:
                (root / name).mkdir(mode=0o700)
            elif inode in first:
                os.link(first[inode], root / name)
            else:
                first[inode] = root / name
                first[inode].write_bytes(content)

    def _content(self, inode: Inode) -> bytes | None:
        return None if inode.is_folder else bytes(self.contents.get(inode, b""))


def remains(events: Sequence[Event], kept: Kept) -> Left:
    """What a cut after these events leaves."""
    surviving = [
        event for event, safe in zip(events, _safe(events), strict=True) if safe or _is_kept(event, kept)
    ]
    names: dict[str, Inode] = {}
    contents: dict[Inode, bytearray] = {}
    for event in surviving:
        if isinstance(event, Entry):
            _apply(names, event)
        elif isinstance(event, Content):
            _write(contents.setdefault(event.inode, bytearray()), event)
    return Left({name: inode for name, inode in names.items() if _is_reachable(name, names)}, contents)


def files(root: Path, besides: Sequence[str] = ()) -> dict[str, bytes | None]:
    """What is in a folder, as `Left.files` puts it."""
    found = ((path, path.relative_to(root).as_posix()) for path in root.rglob("*"))
    return {
        name: None if path.is_dir() else path.read_bytes()
        for path, name in found
        if not _is_besides(name, besides)
    }


def _is_besides(name: str, besides: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in besides)


def _is_kept(event: Event, kept: Kept) -> bool:
    return isinstance(event, Entry | Content) and kept()


def _safe(events: Sequence[Event]) -> list[bool]:
    """Of each event whether a later one has made it safe."""
    synced: set[Inode] = set()
    folders: set[str] = set()
    safe = []
    for event in reversed(events):
        if isinstance(event, Synced):
            synced.add(event.inode)
        elif isinstance(event, FolderSynced):
            folders.add(event.path)
        if isinstance(event, Entry):
            safe.append(_folder(event.path) in folders)
        else:
            safe.append(isinstance(event, Content) and event.inode in synced)
    return safe[::-1]


def _apply(names: dict[str, Inode], event: Entry) -> None:
    if isinstance(event, Renamed):
        names.pop(event.source, None)
    if isinstance(event, Removed):
        names.pop(event.path, None)
    else:
        names[event.path] = event.inode


def _write(content: bytearray, event: Content) -> None:
    if isinstance(event, Cut):
        del content[event.length :]
        content.extend(bytes(event.length - len(content)))
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + len(event.piece)] = event.piece


def _is_reachable(name: str, names: dict[str, Inode]) -> bool:
    parents = [parent.as_posix() for parent in Path(name).parents][:-1]
    return all((inode := names.get(parent)) is not None and inode.is_folder for parent in parents)


def _folder(path: str) -> str:
    return Path(path).parent.as_posix()
