"""The files of a viewer: unpacked from its npm package, put in place as a whole, found by name.

A package is a stranger's: nothing of it is written but plain files below one folder, with plain names and bounded in
number and size. It becomes the viewer in one moment, when the name of its folder is put into `current`; whoever is
reading from the former one finds what he has opened. Where it is served is not at the root of a site, as it was built
for; so its few words about where it is are put right here. What browsers take compressed is compressed once.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from archive.dicom.errors import ConfigurationError

ROOT = "package/dist/"
LEFT_OUT = ("ort/",)
"""Run-time of models that are fetched from elsewhere, which no page of ours may do; half of the package."""
MOST_FILES = 5_000
MOST_BYTES = 1 << 30
COMPRESSED = (".js", ".css", ".svg", ".wasm")

_CURRENT = "current"
_ABOUT = "installed.json"
_SEGMENT = re.compile(r"[A-Za-z0-9_@~+-][A-Za-z0-9._@~+-]*")
_INSTALLATION = re.compile(r"\d+\.\d+\.\d+-[0-9a-f]{8}")
_SCRIPT = re.compile(r'<script defer src="/(app\.bundle\.[0-9a-f]+\.js)">')
_STYLE = re.compile(r'<link href="/(app\.bundle\.css)" rel="stylesheet">')
_BUILT_FOR_ROOT = b'__webpack_require__.p = "/";'
_WHERE_IT_IS = b"""__webpack_require__.p =
  new URL("./", self.document?.currentScript?.src ?? self.location.href).pathname;"""
"""The folder of the script itself, in a page and in a worker."""


@dataclass(frozen=True, slots=True)
class About:
    """What is installed. `script` and `style` are those that its page begins with."""

    version: str
    integrity: str
    script: str
    style: str


@dataclass(frozen=True, slots=True)
class File:
    """One file; `compressed`: the same as gzip, where there is one."""

    path: Path
    length: int
    compressed: Path | None = None
    compressed_length: int = 0


@dataclass(frozen=True)
class Installed:
    """A viewer in its folder, whose name tells one installation from the next."""

    folder: Path
    about: About
    files: Mapping[str, File]


def install(folder: Path, tarball: Path, version: str, integrity: str) -> Installed:
    """Make the package in `tarball` the viewer in `folder`. Raises ConfigurationError, and the former one stays."""
    new = folder / f"{version}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        _unpack(tarball, new)
        script, style = _beginning(new)
        (new / _ABOUT).write_text(json.dumps(asdict(About(version, integrity, script, style)), indent=1))
        _point(folder, new.name)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}") from None
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    _remove_but(folder, new.name)
    found = installed(folder)
    assert found is not None
    return found


def installed(folder: Path) -> Installed | None:
    """What is installed; None: nothing, or nothing whole."""
    name = current(folder)
    if not name:
        return None
    try:
        about = About(**json.loads((folder / name / _ABOUT).read_text()))
        return Installed(folder / name, about, dict(_files(folder / name)))
    except (OSError, ValueError, TypeError):
        return None


def current(folder: Path) -> str:
    """The name of the installation in effect; empty: none."""
    try:
        name = (folder / _CURRENT).read_text().strip()
    except (OSError, ValueError):
        return ""
    return name if _SEGMENT.fullmatch(name) else ""


def remove(folder: Path) -> bool:
    """Remove what is installed; False: nothing was."""
    was = bool(current(folder))
    (folder / _CURRENT).unlink(missing_ok=True)
    if folder.is_dir():
        _remove_but(folder, "")
        with suppress(OSError):
            folder.rmdir()
    return was


def _point(folder: Path, name: str) -> None:
    pointer = folder / f".{_CURRENT}-{secrets.token_hex(4)}"
    with pointer.open("w") as file:
        file.write(f"{name}\n")
        file.flush()
        os.fsync(file.fileno())
    pointer.replace(folder / _CURRENT)


def _remove_but(folder: Path, name: str) -> None:
    """Other installations, whole or begun; nothing else that may lie there."""
    for one in folder.iterdir():
        if one.name != name and _INSTALLATION.fullmatch(one.name):
            shutil.rmtree(one, ignore_errors=True)


def _unpack(tarball: Path, folder: Path) -> None:
    number = size = 0
    try:
        with tarfile.open(tarball, "r|gz") as archive:
            for member in archive:
                number, size = number + 1, size + member.size
                if number > MOST_FILES or size > MOST_BYTES:
                    raise ConfigurationError("the package has more files, or larger ones, than a viewer has")
                name = _checked(member)
                content = archive.extractfile(member) if _is_wanted(name) else None
                if content is not None:
                    _write(folder / name.removeprefix(ROOT), name.removeprefix(ROOT), content.read())
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"the package is damaged: {type(error).__name__}") from None


def _checked(member: tarfile.TarInfo) -> str:
    """Its name. Raises ConfigurationError for what is no plain file with a plain name."""
    segments = member.name.split("/")
    if not member.isfile() or not all(map(_SEGMENT.fullmatch, segments)):
        raise ConfigurationError("the package has something else than plain files in it")
    return member.name


def _is_wanted(name: str) -> bool:
    inner = name.removeprefix(ROOT)
    return name.startswith(ROOT) and not inner.endswith(".map") and not inner.startswith(LEFT_OUT)


def _write(path: Path, name: str, content: bytes) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    content = _put_right(name, content)
    path.write_bytes(content)
    if name.endswith(COMPRESSED):
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        smaller = packer.compress(content) + packer.flush()
        if len(smaller) < len(content) * 9 // 10:
            path.with_name(f"{path.name}.gz").write_bytes(smaller)


def _put_right(name: str, content: bytes) -> bytes:
    """Addresses from the root of a site become those from where the file is."""
    if name.endswith(".js"):
        return content.replace(_BUILT_FOR_ROOT, _WHERE_IT_IS)
    if name.endswith(".css"):
        up = b"../" * (len(PurePosixPath(name).parts) - 1)
        return re.sub(rb"url\((['\"]?)/(?!/)", rb"url(\1" + up, content)
    return content


def _beginning(folder: Path) -> tuple[str, str]:
    """The script and the style sheet that the page begins with. Raises ConfigurationError."""
    try:
        page = (folder / "index.html").read_text(encoding="utf-8")
        script, style = _SCRIPT.search(page), _STYLE.search(page)
        if script and style and _WHERE_IT_IS in (folder / script[1]).read_bytes():
            return script[1], style[1]
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    raise ConfigurationError("the package is not built as the viewer is that this archive knows")


def _files(folder: Path) -> Iterator[tuple[str, File]]:
    lengths = {path.relative_to(folder).as_posix(): path.stat().st_size for path in _plain(folder)}
    for name, length in lengths.items():
        if name.endswith(".gz") or name == _ABOUT:
            continue
        packed = f"{name}.gz"
        if packed in lengths:
            yield name, File(folder / name, length, folder / packed, lengths[packed])
        else:
            yield name, File(folder / name, length)


def _plain(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
