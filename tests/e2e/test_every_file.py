"""Every file of two collections is stored or refused; the refusals stand in tests/dicom/refused_files.py.

Each file meets an archive of its own, as many of them contradict each other (the same UIDs with other content,
made by converting one object in many ways). The archives are copies of one empty one, used in-process. Those
that do not contradict each other then go over the network too, byte by byte as they are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

import dicomweb
import scu
from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom import errors
from archive.dicom.errors import ArchiveError
from archive.dicom.instance import Scope, Source
from archive.dimse import statuses
from archive.web.store_response import Failure
from archive_process import ArchiveServer
from files import File, compatible, files, rarest_first
from metadata_oracle import differences
from objects import data_set_bytes
from refused_files import REFUSED
from suites.sqlite import prepare

SOURCE = Source("IMPORT")
PIECE = 16384
BASE_URL = "http://archive/dicom-web"

# What C-STORE and STOW-RS answer for each class of refusal (PS3.4 Table B.2-1, PS3.18 Table I.2-2).
STATUS: dict[type[ArchiveError], int] = {
    errors.NotDicom: 0xC000,
    errors.CannotUnderstand: 0xC000,
    errors.MissingAttribute: 0xA900,
    errors.InvalidUID: 0xA900,
    errors.UnsupportedSOPClass: 0x0122,
}

# Documents and tools among the files; dicom's own tests leave them out.
NO_DICOM_SUFFIXES = {".txt", ".md", ".json", ".icc", ".gz", ".dump"}
NO_DICOM = (errors.NotDicom, "the prefix DICM is missing")

Outcomes = dict[str, ArchiveError | None]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an empty archive."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    prepare(settings(folder))
    return folder


def settings(folder: Path) -> config.Settings:
    """The defaults, in this folder."""
    return replace(config.load(environment={}), data=folder)


def outcomes(empty: Path, folder: Path, paths: Iterator[Path], work: Path) -> Outcomes:
    """Store each file into an archive of its own, and check what was stored."""
    found: Outcomes = {}
    for path in sorted(paths):
        data = work / "data"
        shutil.copytree(empty, data)
        with closing(building.build(settings(data))) as archive:
            found[str(path.relative_to(folder))] = outcome(archive, path)
        shutil.rmtree(data)
    return found


def outcome(archive: Archive, path: Path) -> ArchiveError | None:
    """Store a file in pieces. None: it was stored, and comes back as it was."""
    content = path.read_bytes()
    try:
        with archive.ingest.part10(SOURCE) as reception:
            for offset in range(0, len(content), PIECE):
                reception.write(content[offset : offset + PIECE])
            reception.finish()
    except ArchiveError as error:
        assert list(archive.retrieve.instances(Scope())) == []
        assert list(archive.store.keys()) == []
        return error
    (instance,) = archive.retrieve.instances(Scope())
    with archive.retrieve.open(instance) as blob:
        stored = blob.read(instance.data_set_offset, instance.data_set_length)
    assert content.endswith(stored), path.name
    assert len(content) - len(stored) == instance.data_set_offset, path.name
    (text,) = archive.retrieve.metadata(Scope(), lambda _: BASE_URL)
    assert differences(path, json.loads(text)) == [], path.name
    return None


def expected_refusal(name: str) -> tuple[type[ArchiveError], str] | None:
    """The error and a part of its sentence; None: the file has to be stored."""
    path = PurePath(name)
    return REFUSED.get(path.name, NO_DICOM if path.suffix in NO_DICOM_SUFFIXES else None)


def check_refusals(found: Outcomes) -> None:
    """Exactly the listed files were refused, with their sentences and the right status at both doors."""
    refused = {name: error for name, error in found.items() if error is not None}
    expected = {name: refusal for name in found if (refusal := expected_refusal(name))}
    assert {name: error.reason for name, error in refused.items() if name not in expected} == {}
    assert expected.keys() - refused.keys() == set()
    for name, error in refused.items():
        kind, fragment = expected[name]
        assert type(error) is kind, name
        assert fragment in error.reason, name
        assert statuses.worded(error, "store").code == STATUS[kind], name
        assert Failure(error).reason == STATUS[kind], name


def test_the_shared_collection(empty: Path, shared_data: Path, tmp_path: Path) -> None:
    paths = (path for path in shared_data.rglob("*") if path.is_file())
    found = outcomes(empty, shared_data, paths, tmp_path)
    check_refusals(found)
    assert len(found) == 80


def test_the_collection_in_pydicoms_wheel(empty: Path, pydicom_data: Path, tmp_path: Path) -> None:
    folders = (pydicom_data / name for name in ("test_files", "charset_files", "palettes"))
    paths = (path for folder in folders for path in folder.rglob("*") if path.suffix not in (".py", ".pyc"))
    found = outcomes(empty, pydicom_data, filter(Path.is_file, paths), tmp_path)
    check_refusals(found)
    assert sum(error is None for error in found.values()) > 100


@pytest.fixture(scope="module")
def over_the_network(
    shared_data: Path, pydicom_data: Path, module_archive: Callable[..., ArchiveServer]
) -> tuple[ArchiveServer, list[File]]:
    """A running archive and the files that were stored in it by C-STORE, their bytes as they are."""
    server, stored = module_archive(), []
    candidates = [*files(shared_data), *files(pydicom_data / "test_files")]
    accepted = [file for file in candidates if not expected_refusal(file.path.name)]
    for file in compatible(rarest_first(accepted)):
        pair = file.SOPClassUID, file.transfer_syntax_uid
        status, comment = scu.store(server, pair, file.SOPInstanceUID, [file.data_set])
        assert status == 0x0000, (file.path.name, comment)
        stored.append(file)
    return server, stored


def test_wado_gives_back_every_byte(over_the_network: tuple[ArchiveServer, list[File]]) -> None:
    server, stored = over_the_network
    assert len(stored) > 100
    assert len({file.transfer_syntax_uid for file in stored}) >= 12
    for file in stored:
        study = f"{server.dicomweb_url}/studies/{file.StudyInstanceUID}"
        url = f"{study}/series/{file.SeriesInstanceUID}/instances/{file.SOPInstanceUID}"
        (whole,) = dicomweb.retrieve(url)
        assert data_set_bytes(whole) == file.data_set, file.path.name


def test_c_get_gives_back_every_byte(over_the_network: tuple[ArchiveServer, list[File]]) -> None:
    server, stored = over_the_network
    for study in {file.StudyInstanceUID for file in stored}:
        inside = [file for file in stored if file.StudyInstanceUID == study]
        pairs = [(file.SOPClassUID, file.transfer_syntax_uid) for file in inside]
        received = scu.get(server, pairs, QueryRetrieveLevel="STUDY", StudyInstanceUID=study)
        assert received == {file.SOPInstanceUID: file.data_set for file in inside}
