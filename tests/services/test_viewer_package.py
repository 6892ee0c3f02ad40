"""The viewer's package is believed only by its digest, unpacked nowhere else, and in place as a whole or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.dicom.errors import ConfigurationError
from archive.services import viewer as viewer_module
from archive.services.viewer import DIGESTS, VERSION, Viewer
from archive.storage import viewer_files
from viewer_package import FILES, SCRIPT, Registry, integrity, packed, serving

OTHER = "3.14.0"
"""A version of which nothing is known here."""


@pytest.fixture
def viewer(tmp_path: Path) -> Viewer:
    return Viewer(tmp_path / "viewer")


def fetch(viewer: Viewer, registry: Registry, version: str = OTHER) -> viewer_module.Installed:
    return viewer.fetch(registry.url, version, lambda came, length: None)


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_is_fetched_checked_and_put_right(viewer: Viewer) -> None:
    assert viewer.installed() is None
    told: list[tuple[int, int]] = []
    content = packed()
    with serving(Registry(content)) as registry:
        found = viewer.fetch(f"{registry.url}/", OTHER, lambda came, length: told.append((came, length)))
    assert registry.asked == [f"/@ohif%2Fapp/{OTHER}", "/package.tgz"]
    assert told[-1] == (len(content), len(content))
    assert viewer.installed() == found
    assert (found.about.version, found.about.script) == (OTHER, SCRIPT)
    kept = {name.removeprefix("package/dist/") for name in FILES if name.startswith("package/dist/")}
    assert set(found.files) == kept - {f"{SCRIPT}.map", "ort/model.wasm"}
    script = found.files[SCRIPT]
    assert b'.p = "/"' not in script.path.read_bytes()
    assert b"self.location.href" in script.path.read_bytes()
    assert script.compressed is not None
    assert gzip.decompress(script.compressed.read_bytes()) == script.path.read_bytes()
    assert b"url(a.woff2)" in found.files["app.bundle.css"].path.read_bytes()
    assert b"url('assets/b.png')" in found.files["app.bundle.css"].path.read_bytes()
    assert b"url(../assets/b.png)" in found.files["assets/nested.css"].path.read_bytes()


def test_a_newer_one_takes_its_place_also_for_who_knew_the_former(viewer: Viewer) -> None:
    with serving(Registry(packed())) as registry:
        first = fetch(viewer, registry)
        elsewhere = Viewer(viewer.folder)
        assert elsewhere.installed() == first
        second = fetch(viewer, registry, "3.15.1")
    assert elsewhere.installed() == second
    assert second.about.version == "3.15.1"
    assert not first.folder.exists()
    (viewer.folder / "somebody's").mkdir()
    (viewer.folder / "3.14.0-0123abcd").mkdir()  # as a crash leaves it
    assert elsewhere.remove()
    assert viewer.installed() is None
    assert [path.name for path in viewer.folder.iterdir()] == ["somebody's"]
    assert not viewer.remove()


@pytest.mark.parametrize(
    ("version", "registry", "said"),
    [
        (VERSION, Registry(packed()), "has another"),
        (VERSION, Registry(packed(), integrity=DIGESTS[VERSION]), "SHA-512 is another"),
        (OTHER, Registry(packed(), integrity=integrity(b"x")), "SHA-512 is another"),
        (OTHER, Registry(packed(), integrity="sha1-AAAA"), "SHA-512 is another"),
        (OTHER, Registry(packed(), tarball="file:///etc/passwd"), "no address"),
        (OTHER, Registry(packed(), cut=100), "broke off"),
        ("3.12.9", Registry(packed()), "or later"),
        ("../x", Registry(packed()), "or later"),
    ],
    ids=["pinned", "pinned, and lies", "changed", "weak", "file", "cut", "old", "no version"],
)
def test_what_is_not_what_it_says_is_not_installed(
    viewer: Viewer, version: str, registry: Registry, said: str
) -> None:
    with serving(Registry(packed())) as good:
        before = fetch(viewer, good)
    with serving(registry), pytest.raises(ConfigurationError, match=said):
        fetch(viewer, registry, version)
    assert viewer.installed() == before
    assert before.files[SCRIPT].path.is_file()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


@pytest.mark.parametrize(
    "bad",
    [
        member("package/dist/../../../evil"),
        member("/package/dist/evil"),
        member("package/dist/.hidden"),
        member("package/dist/a b"),
        member("package/dist/a\nb"),
        member("package/dist/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("package/dist/hard", tarfile.LNKTYPE, "package/dist/index.html"),
        member("package/dist/pipe", tarfile.FIFOTYPE),
        member("package/dist/folder", tarfile.DIRTYPE),
    ],
    ids=lambda one: f"{one.name!r} {one.type!r}",
)
def test_nothing_but_plain_files_with_plain_names_is_unpacked(
    viewer: Viewer, tmp_path: Path, bad: tarfile.TarInfo
) -> None:
    before = everything(tmp_path)
    with (
        serving(Registry(packed(None, bad))) as registry,
        pytest.raises(ConfigurationError, match="plain files"),
    ):
        fetch(viewer, registry)
    assert everything(tmp_path) == before
    assert viewer.installed() is None


def without(name: str) -> Callable[[], bytes]:
    return lambda: packed({each: content for each, content in FILES.items() if each != name})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (without("package/dist/index.html"), "not built as"),
        (without(f"package/dist/{SCRIPT}"), "not built as"),
        (lambda: packed(FILES | {f"package/dist/{SCRIPT}": b"// of another bundler"}), "not built as"),
        (lambda: packed()[:-900], "damaged"),
        (lambda: b"no archive", "damaged"),
    ],
    ids=["no page", "no script", "other script", "cut", "none"],
)
def test_what_is_no_viewer_is_refused_and_leaves_nothing(
    viewer: Viewer, make: Callable[[], bytes], said: str
) -> None:
    with serving(Registry(make())) as registry, pytest.raises(ConfigurationError, match=said):
        fetch(viewer, registry)
    assert everything(viewer.folder) == set()


@pytest.mark.parametrize(("name", "most"), [("MOST_FILES", 5), ("MOST_BYTES", 1000)])
def test_number_and_size_are_bounded(
    viewer: Viewer, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(viewer_files, name, most)
    with serving(Registry(packed())) as registry, pytest.raises(ConfigurationError, match="more files"):
        fetch(viewer, registry)
    assert viewer.installed() is None


def test_a_file_is_taken_only_of_a_version_that_is_known(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tarball = tmp_path / "package.tgz"
    tarball.write_bytes(packed())
    with pytest.raises(ConfigurationError, match="SHA-512 is another"):
        viewer.take(tarball, VERSION)
    with pytest.raises(ConfigurationError, match="only a registry"):
        viewer.take(tarball, OTHER)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        viewer.take(tmp_path / "absent", VERSION)
    monkeypatch.setattr(viewer_module, "DIGESTS", {VERSION: integrity(packed())})
    tarball.write_bytes(packed())
    assert viewer.take(tarball, VERSION).about.version == VERSION


def test_a_full_disk_is_said(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the package itself, and for its files."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with serving(Registry(packed())) as registry:
        with monkeypatch.context() as patched:
            patched.setattr(viewer_files, "_write", full)
            with pytest.raises(ConfigurationError, match="No space left"):
                fetch(viewer, registry)
        assert everything(viewer.folder) == set()
        with pytest.raises(ConfigurationError, match="cannot hold the package: No space left"):
            viewer.fetch(registry.url, OTHER, full)


def test_nobody_there(viewer: Viewer) -> None:
    with serving(Registry(packed())) as registry:
        pass
    with pytest.raises(ConfigurationError, match="cannot be fetched"):
        fetch(viewer, registry)
    for no_url in ("file:///etc", "", "http://[", "ftp://localhost"):
        with pytest.raises(ConfigurationError, match=r"cannot be fetched|no address"):
            viewer.fetch(no_url, OTHER, lambda came, length: None)
