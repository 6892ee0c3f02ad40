"""Killed between any two steps of a correction (reliability.md 4.3): a study says what it said or what is right, never
something of both, and going on ends as it should. On both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

import crashes
from archive.services.corrections import State
from corrected import DOE, ROE, agree, keys, of, opened_archive, store_all, whose
from held import settle_down
from objects import new_uid, part10

WRONG, RIGHT = ("1", "", "Doe"), ("2", "", "Roe")


def kill(folder: Path, index_url: str, point: str, do: str, at: int, **order: object) -> None:
    """Have another process do it, which must not survive this point when it comes there for the `at`th time."""
    order |= {"point": point, "do": do, "at": at, "policy": "reject"}
    order |= {"data": str(folder / "data"), "index": index_url}
    crashes.kill(order)


@pytest.mark.parametrize(
    ("point", "at"),
    # entered, begun, written anew, changed over, finished: each before and after its COMMIT
    [("changed", n) for n in range(1, 6)] + [("committed", n) for n in range(1, 6)] + [("published", 2)],
)
def test_killed_amid_a_merge(tmp_path: Path, index_url: str, point: str, at: int) -> None:
    study = new_uid()
    one, two = of(DOE, "Doe", study), of(DOE, "Doe", study)
    with opened_archive(tmp_path, index_url) as archive:
        store_all(archive, one, two)
    kill(tmp_path, index_url, point, "merge", at)
    with opened_archive(tmp_path, index_url) as archive:
        found = set(whose(archive).values())
        assert found in ({WRONG}, {RIGHT})
        is_entered = bool(archive.corrections.last())
        assert is_entered is ((point, at) != ("changed", 1))
        [late] = store_all(archive, of(DOE, "Doe"))
        assert whose(archive)[late.SOPInstanceUID] == (RIGHT if is_entered else WRONG)
        settle_down(archive)
        assert set(whose(archive).values()) == {RIGHT if is_entered else WRONG}
        assert all(correction.state == State.DONE for correction in archive.corrections.last())
        orphans = sorted(set(archive.store.keys()) - set(keys(archive)))
        assert len(orphans) <= 2  # written anew, and not yet in the index
        for key in orphans:
            archive.store.delete(key)
        agree(archive)


@pytest.mark.parametrize("point", ["received", "published", "changed", "committed"])
def test_killed_while_a_late_object_is_corrected(tmp_path: Path, index_url: str, point: str) -> None:
    late = of(DOE, "Doe")
    path = tmp_path / "object.dcm"
    path.write_bytes(part10(late))
    with opened_archive(tmp_path, index_url) as archive:
        archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    kill(tmp_path, index_url, point, "store", 1, file=str(path))
    with opened_archive(tmp_path, index_url) as archive:
        assert set(whose(archive).values()) == ({RIGHT} if point == "committed" else set())
        archive.store.sweep(0)
        for key in sorted(set(archive.store.keys()) - set(keys(archive))):
            archive.store.delete(key)
        store_all(archive, late)
        assert whose(archive) == {late.SOPInstanceUID: RIGHT}
        agree(archive)
