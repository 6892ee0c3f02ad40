"""How many associations an AE title has at one time, over all worker processes of this machine.

A seat is a lock on one of as many files as the AE title has seats. The system lets go of it when the association ends
and also when its worker dies, however that happens, so a seat is never lost and nobody has to count.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from archive.dicom.errors import CallerRefused, OutOfResources
from archive.security.admission import LOCAL_LIMIT_EXCEEDED, PRESENTATION, TRANSIENT
from archive.security.ae_titles import AETitle
from archive.security.remedies import command

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.02
"""Once a limit was lowered, who counts the seats holds each for a moment: that one is taken is only sure when it is
seen again."""


class Seat:
    """A place that an association holds until it leaves."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def leave(self) -> None:
        """Give it back; once is enough."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


class Seats:
    """The seats of every AE title that has a limit, in a folder that all workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, entry: AETitle) -> Seat:
        """A seat for one more association. Raises CallerRefused when all are taken (PS3.8 9.3.4: local limit
        exceeded), OutOfResources when nobody can tell."""
        limit = entry.rules.maximum_associations
        if not limit:
            return Seat(None)
        folder = self._folder / entry.title.encode().hex()
        try:
            descriptor = self._free(folder, limit)
            for _ in range(_ATTEMPTS if descriptor is None and _beyond(folder, limit) else 0):
                time.sleep(_PAUSE_SECONDS)
                descriptor = self._free(folder, limit)
                if descriptor is not None:
                    break
        except OSError as error:
            raise OutOfResources(f"the seats of an AE title cannot be counted ({error.strerror})") from None
        if descriptor is None:
            raise CallerRefused(
                f"the AE has its {limit} associations already", TRANSIENT, PRESENTATION, LOCAL_LIMIT_EXCEEDED,
                command("set", entry.title, "--maximum-associations", str(limit + 1)),
            )  # fmt: skip
        return Seat(descriptor)

    def _free(self, folder: Path, limit: int) -> int | None:
        """A lock on a free seat. Seats beyond a limit that was lowered count as long as they are held."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in range(limit):
            descriptor = _locked(folder / str(number))
            if descriptor is not None:
                break
        else:
            return None
        if _beyond(folder, limit) and sum(map(_is_held, folder.iterdir())) > limit:
            os.close(descriptor)
            return None
        return descriptor


def _beyond(folder: Path, limit: int) -> bool:
    """Whether there was a higher limit once."""
    return (folder / str(limit)).exists()


def _is_held(path: Path) -> bool:
    descriptor = _locked(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _locked(path: Path) -> int | None:
    """An exclusive lock on the file, or None while another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
