"""The command line as a person uses it."""

from __future__ import annotations

import copy
from importlib.metadata import version
from pathlib import Path

import pytest

from archive_process import ArchiveServer, archive
from in_process import archive_here, in_folder
from objects import ct, mr, part10, secondary_capture


def test_version() -> None:
    assert archive("--version").stdout.split() == ["archive", version("dicom-archive")]


def test_ae_titles_are_added_listed_and_removed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert in_folder(data, "ae", "add", "WORKSTATION", "10.0.0.7", "11112").code == 0
    assert in_folder(data, "ae", "add", "WORKSTATION", "10.0.0.8", "104").code == 0
    assert in_folder(data, "ae", "list").stdout == "WORKSTATION\t10.0.0.8\t104\t\n"
    assert in_folder(data, "ae", "remove", "WORKSTATION").code == 0
    assert in_folder(data, "ae", "list").stdout == ""
    assert in_folder(data, "ae", "remove", "WORKSTATION").code == 1


@pytest.mark.parametrize(
    "arguments", [("TOO LONG FOR A TITLE", "h", "1"), ("A", "h", "0"), ("A\\B", "h", "1")]
)
def test_an_impossible_ae_title_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert in_folder(tmp_path / "data", "ae", "add", *arguments).code == 2


def test_a_wrong_data_folder_does_not_look_like_an_empty_archive(tmp_path: Path) -> None:
    done = in_folder(tmp_path / "absent", "ae", "list")
    assert done.code == 2
    assert "--data" in done.stderr
    assert not (tmp_path / "absent").exists()


def test_ae_titles_are_in_effect_at_once_beside_a_running_server(archive_server: ArchiveServer) -> None:
    server = archive_server
    assert in_folder(server.data, "ae", "add", "OTHER", "127.0.0.1", str(server.dimse_port)).code == 0
    # The server is called by a title that is not its own, refuses, and remembers why.
    refused = in_folder(server.data, "ae", "echo", "OTHER")
    assert refused.code == 1
    assert "rejected" in refused.stderr
    listed = in_folder(server.data, "ae", "refused").stdout
    assert "\tOTHER\t127.0.0.1\t" in listed
    assert "called AE title" in listed
    assert in_folder(server.data, "ae", "add", server.ae_title, "127.0.0.1", str(server.dimse_port)).code == 0
    assert "answers" in in_folder(server.data, "ae", "echo", server.ae_title).stdout


def test_an_unknown_ae_title_cannot_be_echoed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done = in_folder(tmp_path / "data", "ae", "echo", "NOBODY")
    assert done.code == 1
    assert "archive ae add" in done.stderr


def test_import_beside_a_running_server_is_seen_at_once(
    archive_server: ArchiveServer, tmp_path: Path
) -> None:
    server = archive_server
    (tmp_path / "in").mkdir()
    data_set = mr()
    (tmp_path / "in" / "mr").write_bytes(part10(data_set))
    assert in_folder(server.data, "import", str(tmp_path / "in")).code == 0
    import httpx

    found = httpx.get(
        f"{server.dicomweb_url}/studies", params={"StudyInstanceUID": data_set.StudyInstanceUID}
    )
    assert len(found.json()) == 1


def test_config_check_shows_what_is_in_effect_without_passwords(tmp_path: Path) -> None:
    path = tmp_path / "archive.toml"
    path.write_text('[index]\nurl = "postgresql://me:hush-hush@db/archive"\n[dimse]\nae_title = "MINE"\n')
    done = archive_here("config", "check", "--config", str(path))
    assert done.code == 0
    assert "dimse.ae_title = MINE" in done.stdout
    assert "postgresql://me:***@db/archive" in done.stdout
    assert "hush-hush" not in done.stdout
    path.write_text("[dimse]\nae_titel = 1\n")
    assert archive_here("config", "check", "--config", str(path)).code == 2


def test_import_says_what_became_of_every_file(tmp_path: Path) -> None:
    folder, data = tmp_path / "in", tmp_path / "data"
    folder.mkdir()
    first, second = mr(), ct()
    for name, content in {
        "a.dcm": part10(first),
        "b.dcm": part10(second),
        "broken.dcm": part10(ct())[:-7],
        "notes.txt": b"no image here",
        "empty": b"",
    }.items():
        (folder / name).write_bytes(content)
    done = in_folder(data, "import", str(folder))
    assert done.code == 1
    counts = [line.split()[-1] for line in done.stdout.splitlines()[:5]]
    assert counts == ["2", "0", "0", "1", "2"]
    assert "broken.dcm" in done.stdout
    assert "notes.txt" in done.stdout
    (folder / "broken.dcm").unlink()
    again = in_folder(data, "import", str(folder))
    assert again.code == 0
    assert [line.split()[-1] for line in again.stdout.splitlines()[:5]] == ["0", "2", "0", "0", "2"]


def test_import_of_nothing_there(tmp_path: Path) -> None:
    done = in_folder(tmp_path / "data", "import", str(tmp_path / "absent"))
    assert done.code == 2
    assert "absent" in done.stderr


def test_objects_that_were_kept_out_are_listed(tmp_path: Path) -> None:
    first = secondary_capture()
    second = copy.deepcopy(first)
    second.PatientComments = "other content"
    files = tmp_path / "in"
    files.mkdir()
    for number, each in enumerate((first, second)):
        (files / f"{number}.dcm").write_bytes(part10(each))
    assert archive_here("import", str(files), "--data", str(tmp_path / "data")).code == 1
    listed = in_folder(tmp_path / "data", "conflicts")
    assert listed.code == 0
    assert first.SOPInstanceUID in listed.stdout
    assert "other content" in listed.stdout
