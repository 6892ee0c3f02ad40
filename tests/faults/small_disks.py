"""Small file systems of one's own for a test: filled, without room for a file, read-only, or taken away.

Each is an ext4 image, mounted through a loop device. Where that cannot be, the test is skipped with the reason.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

MIB = 1 << 20
_BALLAST = "ballast"


@dataclass(frozen=True)
class SmallDisk:
    """Mounted at `folder`. It is taken away in the end, whatever became of it."""

    image: Path
    folder: Path

    @property
    def free(self) -> int:
        """Bytes."""
        room = os.statvfs(self.folder)
        return room.f_bavail * room.f_frsize

    def fill(self, but: int = 0) -> None:
        """Another program takes all room, but for so much."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as file:
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, file.tell() + max(self.free - but, 0))
            with contextlib.suppress(OSError):
                while not but:  # until there is not a byte left
                    os.write(file.fileno(), bytes(4096))

    def make_room(self) -> None:
        """It goes."""
        (self.folder / _BALLAST).unlink()

    def take_all_files(self, but: int = 0) -> None:
        """Another program makes files until there can be no more, but for so many."""
        for number in range(os.statvfs(self.folder).f_favail - but):
            (self.folder / f"{_BALLAST}-{but}-{number}").touch()

    def let_files_be_made(self) -> None:
        """They go."""
        for path in self.folder.glob(f"{_BALLAST}-*"):
            path.unlink()

    def fail(self) -> None:
        """The file system finds an error and turns read-only, under those who use it."""
        device = _said("findmnt", "-n", "-o", "SOURCE", str(self.folder)).rpartition("/")[2]
        trigger = Path("/sys/fs/ext4", device, "trigger_fs_error")
        try:
            trigger.write_text("1")
        except OSError:
            pytest.skip("this machine cannot let a file system fail")
        with pytest.raises(OSError, match="Read-only"):
            (self.folder / "one more").touch()

    def remount(self, how: str) -> None:
        """`ro` or `rw`."""
        _run("mount", "-o", f"remount,{how}", str(self.folder))

    def unplug(self) -> None:
        """It is not there any more for who opens a file on it; who has one open keeps it."""
        _run("umount", "-l", str(self.folder))

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Whoever writes to it waits, and not even SIGKILL ends that."""
        try:
            _run("fsfreeze", "--freeze", str(self.folder))
        except (FileNotFoundError, subprocess.CalledProcessError):
            pytest.skip("this machine cannot freeze a file system")
        try:
            yield
        finally:
            _run("fsfreeze", "--unfreeze", str(self.folder))

    def plug_in(self) -> None:
        """Mount it again."""
        _mount(self.image, self.folder)


@contextlib.contextmanager
def small_disk(place: Path, size: int = 64 * MIB, options: Sequence[str] = ()) -> Iterator[SmallDisk]:
    """One in a new folder; `options` are mkfs's. Skips the test where that cannot be."""
    place.mkdir()
    image, folder = place / "image", place / "mounted"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    try:
        _run("mkfs.ext4", "-q", "-F", "-m", "0", *options, str(image))
        _mount(image, folder)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("this machine cannot mount a file system of its own: that takes root and e2fsprogs")
    try:
        yield SmallDisk(image, folder)
    finally:
        while os.path.ismount(folder):
            _run("umount", "-l", str(folder))


def _mount(image: Path, folder: Path) -> None:
    _run("mount", "-t", "ext4", "-o", "loop,errors=remount-ro", str(image), str(folder))


def _run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": path})


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
