"""The viewer that is served at /viewer: OHIF, as its makers publish it with npm.

It is no part of the archive and does not come with it: `install` fetches it once, and believes it only when its digest
is the one that is known here of that version (for another version, that the registry names), whoever serves it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from archive.dicom.errors import ConfigurationError
from archive.remote import npm_registry
from archive.storage import viewer_files
from archive.storage.viewer_files import File, Installed

__all__ = ["DIGESTS", "VERSION", "File", "Installed", "Viewer"]

PACKAGE = "@ohif/app"
VERSION = "3.13.2"
DIGESTS: Mapping[str, str] = {
    "3.13.2": "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA==",
}
"""Of the versions that were tried: what their package is, whatever a registry says."""

OLDEST = (3, 13, 2)
_PIECE = 1 << 20

Progress = Callable[[int, int], None]
"""Told how many bytes came, of how many; 0: not known."""


class Viewer:
    """The viewer in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._known: Installed | None = None

    def installed(self) -> Installed | None:
        """What is there now; None: nothing. Read again only after it has changed, also by another process."""
        with self._lock:
            name = viewer_files.current(self.folder)
            if self._known is None or self._known.folder.name != name:
                self._known = viewer_files.installed(self.folder) if name else None
            return self._known

    def fetch(self, registry: str, version: str, progress: Progress) -> Installed:
        """Install it from a registry. Raises ConfigurationError, and what was there stays."""
        self._check(version)
        published = npm_registry.published(registry, PACKAGE, version)
        integrity = DIGESTS.get(version) or published.integrity
        if version in DIGESTS and published.integrity not in ("", integrity):
            raise ConfigurationError(
                f"{registry} has another {PACKAGE} {version} than is known: not installed"
            )
        with tempfile.TemporaryDirectory() as folder:
            tarball = Path(folder) / "package.tgz"
            _save(published.tarball, tarball, progress)
            return self._install(tarball, version, integrity)

    def take(self, tarball: Path, version: str) -> Installed:
        """Install it from a file that `npm pack` made, where there is no way to a registry. Raises
        ConfigurationError."""
        self._check(version)
        if version not in DIGESTS:
            raise ConfigurationError(
                f"what {PACKAGE} {version} is, only a registry can say: install it from one"
            )
        return self._install(tarball, version, DIGESTS[version])

    def remove(self) -> bool:
        """Remove it; False: it was not there."""
        return viewer_files.remove(self.folder)

    def _check(self, version: str) -> None:
        numbers = tuple(int(part) if part.isdigit() else -1 for part in version.split("."))
        if len(numbers) != 3 or -1 in numbers or numbers < OLDEST:
            raise ConfigurationError(f"the viewer's version is {'.'.join(map(str, OLDEST))} or later")

    def _install(self, tarball: Path, version: str, integrity: str) -> Installed:
        if not _agrees(tarball, integrity):
            raise ConfigurationError(f"this is not {PACKAGE} {version}: its SHA-512 is another one")
        return viewer_files.install(self.folder, tarball, version, integrity)


def _save(url: str, tarball: Path, progress: Progress) -> None:
    came = 0
    try:
        with tarball.open("wb") as file:
            for piece, length in npm_registry.pieces(url):
                file.write(piece)
                came += len(piece)
                progress(came, length)
    except OSError as error:
        raise ConfigurationError(f"{tarball.parent} cannot hold the package: {error.strerror}") from None


def _agrees(tarball: Path, integrity: str) -> bool:
    """Whether a file has this digest. An integrity may name several; that of SHA-512 counts."""
    digest = hashlib.sha512()
    try:
        for piece in _pieces(tarball):
            digest.update(piece)
    except OSError as error:
        raise ConfigurationError(f"{tarball} cannot be read: {error.strerror}") from None
    found = f"sha512-{base64.b64encode(digest.digest()).decode()}"
    return any(hmac.compare_digest(found.encode(), one.encode()) for one in integrity.split())


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
