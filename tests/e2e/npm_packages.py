"""Packages of npm that tests use as clients: fetched once, kept in `.test-cache/`, which git ignores.

`package` takes the files of one package, `tarball` it as it is, `installed` a package with all that it requires.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".test-cache"


class PackageMissing(Exception):
    """The package could not be had; the text says why."""


def package(name: str, version: str, needed: Callable[[str], bool] = lambda _: True) -> Path:
    """The folder with the files of a package that are needed, fetched at the first call. Raises PackageMissing."""
    CACHE.mkdir(exist_ok=True)
    plain = name.removeprefix("@").replace("/", "-")
    folder = CACHE / f"{plain}-{version}"
    with (CACHE / f"{plain}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(f"{name}@{version}", CACHE / f"{plain}-{version}.tgz", folder, needed)
    return folder


def tarball(name: str, version: str) -> Path:
    """The archive of a package as its makers published it, fetched at the first call. Raises PackageMissing."""
    plain = name.removeprefix("@").replace("/", "-")
    folder = CACHE / "tarballs"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{plain}-{version}.tgz"
    with (CACHE / f"{plain}-tarball.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_file():
            unfinished = folder / "part"
            unfinished.mkdir(exist_ok=True)
            _npm("pack", "--silent", "--pack-destination", str(unfinished), f"{name}@{version}")
            (unfinished / kept.name).rename(kept)
    return kept


def installed(name: str, version: str) -> Path:
    """The folder of a package below `node_modules`, with what it requires beside it. Raises PackageMissing."""
    CACHE.mkdir(exist_ok=True)
    folder = CACHE / f"{name}-{version}-installed"
    with (CACHE / f"{name}-installed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(f"{name}@{version}", folder)
    return folder / "node_modules" / name


def _install(what: str, folder: Path) -> None:
    """Scripts of packages are not run: nothing that we use is compiled or downloaded by one."""
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    _npm("install", *quiet, "--prefix", str(unfinished), what)
    unfinished.rename(folder)


def _npm(*arguments: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise PackageMissing("npm is not installed")
    done = subprocess.run(
        [npm, *arguments], cwd=CACHE, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise PackageMissing(f"npm could not fetch {arguments[-1]} (exit code {done.returncode})")


def _fetch(what: str, archive: Path, folder: Path, needed: Callable[[str], bool]) -> None:
    _npm("pack", "--silent", what)
    if not archive.is_file():
        raise PackageMissing(f"npm brought no archive for {what}")
    unpacked = folder.with_suffix(".part")
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and needed(member.name):
                tar.extract(member, unpacked, filter="data")
    unpacked.rename(folder)
    archive.unlink()
