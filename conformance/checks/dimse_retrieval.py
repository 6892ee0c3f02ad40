"""C-MOVE and C-GET: statuses, counts, and going on after a failure (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from conformance import dimse, objects, uids
from conformance.dimse_exchange import Answers, get, identifier, move, peer_of
from conformance.registry import check
from conformance.verdicts import Level, expect
from conformance.world import World

STUDY = ("ct1", "ct2", "ct3", "mr1")
WARNING, UNKNOWN_DESTINATION = 0xB000, 0xA801
OUT_OF_RESOURCES = 0xA700


def _study(w: World) -> Dataset:
    return identifier("STUDY", StudyInstanceUID=str(w["ct1"].dataset.StudyInstanceUID))


def _none() -> Dataset:
    return identifier("STUDY", StudyInstanceUID=objects.new_uid())


def _expect_counts(answers: Answers, completed: int, failed: int) -> None:
    found = {kind: answers.count(kind) for kind in ("Completed", "Failed", "Warning")}
    wanted = {"Completed": completed, "Failed": failed, "Warning": 0}
    expect(found == wanted, f"sub-operations {found}, not {wanted}")


def _received(answers: Answers) -> list[str]:
    return sorted(str(one.SOPInstanceUID) for one in answers.received)


@check("DIM.47", "C-GET of a study: all of it, counted", "PS3.4 C.4.3.1", needs=STUDY)
def get_study(w: World) -> None:
    answers = get(peer_of(w), _study(w), [uids.CT, uids.MR]).must(dimse.SUCCESS)
    expect(
        _received(answers) == sorted(w[name].uid for name in STUDY), f"{len(answers.received)} instances came"
    )
    _expect_counts(answers, len(STUDY), 0)


@check("DIM.48", "C-GET of several instances by a list of UIDs", "PS3.4 C.4.3.2.1", Level.OPTIONAL, STUDY)
def get_list(w: World) -> None:
    ds = w["ct1"].dataset
    above = {"StudyInstanceUID": str(ds.StudyInstanceUID), "SeriesInstanceUID": str(ds.SeriesInstanceUID)}
    wanted = sorted(w[name].uid for name in ("ct1", "ct3"))
    answers = get(peer_of(w), identifier("IMAGE", **above, SOPInstanceUID=wanted), [uids.CT]).must(
        dimse.SUCCESS
    )
    expect(_received(answers) == wanted, f"{len(answers.received)} instances came")


@check("DIM.49", "C-GET of nothing is a success", "PS3.4 Table C.4-3", needs=["ct1"])
def get_nothing(w: World) -> None:
    answers = get(peer_of(w), _none(), [uids.CT]).must(dimse.SUCCESS)
    expect(not answers.received, "something came")


@check(
    "DIM.50", "C-GET goes on after a failure: B000 and the list", "PS3.4 C.4.3.1.4, Table C.4-3", needs=STUDY
)
def get_with_failure(w: World) -> None:
    bad = w["ct2"].uid
    refuse = _refusing(bad)
    answers = get(peer_of(w), _study(w), [uids.CT, uids.MR], refuse).must(WARNING)
    _expect_counts(answers, len(STUDY) - 1, 1)
    expect(answers.failed_uids == [bad], f"Failed SOP Instance UID List {answers.failed_uids}")


def _refusing(uid: str) -> Any:
    return lambda data_set: OUT_OF_RESOURCES if str(data_set.SOPInstanceUID) == uid else dimse.SUCCESS


@check("DIM.51", "C-GET of which everything fails is no success", "PS3.4 Table C.4-3", needs=STUDY)
def get_all_failing(w: World) -> None:
    answers = get(peer_of(w), _study(w), [uids.CT, uids.MR], lambda _: OUT_OF_RESOURCES)
    expect(answers.status != dimse.SUCCESS, "the last status is Success")
    _expect_counts(answers, 0, len(STUDY))


@check("DIM.52", "C-GET without a context for a class: that one fails", "PS3.4 C.4.3.1, C.5.3", needs=STUDY)
def get_without_context(w: World) -> None:
    answers = get(peer_of(w), _study(w), [uids.CT]).must(WARNING)
    expect(answers.failed_uids == [w["mr1"].uid], f"Failed SOP Instance UID List {answers.failed_uids}")
    expect(len(answers.received) == len(STUDY) - 1, f"{len(answers.received)} instances came")


@check("DIM.53", "C-MOVE to an AE title that nobody knows: A801", "PS3.4 Table C.4-2", needs=["ct1"])
def move_nowhere(w: World) -> None:
    move(peer_of(w), _study(w), "NOSUCHTITLE").must(UNKNOWN_DESTINATION)


@check("DIM.54", "C-MOVE of nothing is a success", "PS3.4 Table C.4-2", needs=["ct1"])
def move_nothing(w: World) -> None:
    peer = peer_of(w)
    move(peer, _none(), peer.destination).must(dimse.SUCCESS)


@check("DIM.55", "C-MOVE of a study: all of it, counted", "PS3.4 C.4.2.1", needs=STUDY)
def move_study(w: World) -> None:
    peer = peer_of(w)
    answers = move(peer, _study(w), peer.destination).must(dimse.SUCCESS)
    expect(
        _received(answers) == sorted(w[name].uid for name in STUDY), f"{len(answers.received)} instances came"
    )
    _expect_counts(answers, len(STUDY), 0)


@check("DIM.56", "a sub-operation names who asked for the move", "PS3.7 9.3.1.1 (0000,1030)", needs=STUDY)
def originator(w: World) -> None:
    """Move Originator Application Entity Title and Message ID are of the C-MOVE, not of the archive."""
    peer = peer_of(w)
    seen: set[tuple[str, int]] = set()

    def note(event: Any) -> int:
        request = event.request
        title = str(request.MoveOriginatorApplicationEntityTitle or "").strip()
        seen.add((title, int(request.MoveOriginatorMessageID or 0)))
        return dimse.SUCCESS

    move(peer, _study(w), peer.destination, note).must(dimse.SUCCESS)
    expect(seen == {(peer.calling, 9)}, f"originator and message {sorted(seen)}")


@check(
    "DIM.57", "C-MOVE goes on after a failure: B000 and the list", "PS3.4 C.4.2.1, Table C.4-2", needs=STUDY
)
def move_with_failure(w: World) -> None:
    peer, bad = peer_of(w), w["ct2"].uid
    refuse = _refusing(bad)
    answers = move(peer, _study(w), peer.destination, lambda event: int(refuse(event.dataset))).must(WARNING)
    _expect_counts(answers, len(STUDY) - 1, 1)
    expect(answers.failed_uids == [bad], f"Failed SOP Instance UID List {answers.failed_uids}")


@check("DIM.58", "C-MOVE of which everything fails is no success", "PS3.4 Table C.4-2", needs=STUDY)
def move_all_failing(w: World) -> None:
    peer = peer_of(w)
    answers = move(peer, _study(w), peer.destination, lambda _: OUT_OF_RESOURCES)
    expect(answers.status != dimse.SUCCESS, "the last status is Success")
    _expect_counts(answers, 0, len(STUDY))


@check("DIM.59", "a level that is none fails", "PS3.4 Table C.4-3 (A900)", needs=["ct1"])
def get_strange_level(w: World) -> None:
    keys = _study(w)
    keys.QueryRetrieveLevel = "FOLDER"
    status = get(peer_of(w), keys, [uids.CT]).status
    expect(status >> 12 in (0xA, 0xC), f"C-GET ends with {status:04X}")
