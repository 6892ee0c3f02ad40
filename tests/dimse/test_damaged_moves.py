"""C-MOVE and C-GET of a study of which a stored file is missing, cut or longer: the others come, and it is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from door import Door
from receivers import receiver
from test_dimse_retrieve import BY_STUDY, CT, MR, counts, failed, filled, getter, move

__all__ = ["getter"]

DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
}


@pytest.mark.parametrize(("damage", "place"), [("missing", 0), ("missing", 2), ("cut", 1), ("longer", 1)])
def test_a_damaged_file_fails_alone(door: Door, getter: Any, damage: str, place: int) -> None:
    """PS3.4 C.4.2.1.4.2, C.4.3.1.4.2: a failed sub-operation, named; all others are carried out."""
    sent = filled(door)
    lost = list(sent)[place]
    DAMAGES[damage](door.data / "objects" / door.stored()[lost].blob_key)
    rest = {uid: data for uid, data in sent.items() if uid != lost}
    with receiver([CT, MR]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        moved = move(door, BY_STUDY)
    responses, came = getter(BY_STUDY, [CT, MR])
    for final, identifier in (moved[-1], responses[-1]):
        assert (final.Status, counts(final), failed(identifier)) == (0xB000, (2, 1, 0), {lost})
    assert received.by_uid == came == rest


def test_where_nothing_is_left_all_have_failed(door: Door, getter: Any) -> None:
    sent = filled(door)
    for uid in sent:
        (door.data / "objects" / door.stored()[uid].blob_key).unlink()
    responses, came = getter(BY_STUDY, [CT, MR])
    final, identifier = responses[-1]
    assert (final.Status, counts(final), failed(identifier)) == (0xA702, (0, 3, 0), set(sent))
    assert came == {}


def test_bytes_that_changed_are_not_noticed(door: Door, getter: Any) -> None:
    """No retrieve reads an object twice to compare its digest; `archive verify` and the scrubber do."""
    uid = next(iter(filled(door)))
    path = door.data / "objects" / door.stored()[uid].blob_key
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    responses, came = getter(BY_STUDY, [CT, MR])
    assert responses[-1][0].Status == 0
    assert came[uid] == path.read_bytes()[-len(came[uid]) :]
