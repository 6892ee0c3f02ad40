"""The soak: that a short one runs to its end and looks at everything, and that what grows is noticed. `make soak` takes
an hour."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from reliability import figures, report, soak, soak_plot
from reliability.soak import MIB, Moment, Soak, judged

OPERATIONS = {
    *("C-STORE", "STOW-RS", "C-FIND", "QIDO-RS", "C-GET", "WADO-RS"),
    *("metadata", "frame", "rendered", "DELETE"),
}


def test_a_short_one_looks_at_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether all is flat is told by an hour, not by seconds."""
    monkeypatch.setattr("reliability.soak_load.KEPT", 2)
    seen: list[float] = []
    found = soak.run(14.0, 2.0, folder=tmp_path, say=seen.append)
    assert found.faults == []
    assert len(found.moments) == len(seen) == 7
    assert {name for one in found.moments for name in one.p99} == OPERATIONS
    workers = {"archive-http-1", "archive-http-2", "archive-dimse-1", "archive-dimse-2", "archive-jobs-1"}
    for one in found.moments:
        assert workers <= set(one.pids)
        for held in (one.descriptors, one.threads, one.memory):
            assert set(held) == set(one.pids)
            assert min(held.values()) > 0
    assert max(one.blobs for one in found.moments) > 0
    written = soak_plot.draw(found.as_json(), tmp_path / "soak.svg")
    assert "archive-http-1" in written.read_text()


def made(number: int, change: Callable[[float], dict[str, object]]) -> list[Moment]:
    """A soak that changes with its time, from 0 to 1."""
    flat = Moment(
        0.0, {"a": 50}, {"a": 9}, {"a": 100 * MIB}, {"a": 7}, {"C-STORE": 0.02}, {"C-STORE": 99}, blobs=900
    )
    moments = [dataclasses.replace(flat, at=at) for at in range(number)]
    return [dataclasses.replace(one, **change(one.at / number)) for one in moments]  # type: ignore[arg-type]


def wrong(moments: list[Moment]) -> list[str]:
    return [line.what for line in judged(moments) if not line.flat]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda at: {}, []),
        (lambda at: {"descriptors": {"a": 50 + int(at * 20)}}, ["descriptors of a"]),
        (lambda at: {"threads": {"a": 9 + int(at * 10)}}, ["threads of a"]),
        (lambda at: {"memory": {"a": int((100 + at * 30) * MIB)}}, ["memory of a"]),
        (lambda at: {"memory": {"a": int((100 + min(at, 0.1) * 300) * MIB)}}, []),
        (lambda at: {"blobs": 900 + int(at * 900)}, ["objects on the disk for each operation"]),
        (lambda at: {"p99": {"C-STORE": 0.02 + at / 4}}, ["p99 of C-STORE"]),
        (
            lambda at: {"p99": {"C-STORE": 0.02} if at < 0.5 else {}},
            ["p99 of C-STORE: not seen at both ends"],
        ),
        (lambda at: {"pids": {"a": 7 if at < 0.6 else 8}}, ["looks that found another process"]),
    ],
)
def test_what_grows_is_noticed(change: Callable[[float], dict[str, object]], found: list[str]) -> None:
    assert wrong(made(100, change)) == found


def test_a_fault_is_a_verdict() -> None:
    moments = made(10, lambda at: {})
    assert Soak(100.0, 10.0, moments, [], 10).ok
    assert not Soak(100.0, 10.0, moments, ["C-STORE: A700 instead of 0"], 10).ok


def test_the_document_says_what_the_results_say() -> None:
    """Its figures are made, not written."""
    text = report.DOCUMENT.read_text()
    results = figures.read()
    assert report.filled(text, results) == text, "python -m reliability --report"
    for one, column in itertools.product(results, ("version", "date")):
        if one["run"] in report._TITLES:
            assert one[column].split(",")[0] in text


def test_figures_find_their_place() -> None:
    text = "a\n<!-- figures: runs -->\nwhat was there\n<!-- end -->\nb\n<!-- figures: soak --><!-- end -->\n"
    one = {"run": "kills", "server": "archive", "version": "1, x", "date": "2026-01-02", "rounds": 200}
    one |= {"acknowledged": 12345, "lost_or_altered": 0, "violations": {}}
    moments = made(10, lambda at: {})
    soaked = {
        "run": "soak",
        "server": "archive",
        "date": "2026-01-02",
        **Soak(3600, 10, moments, [], 5).as_json(),
    }
    filled = report.filled(text, [one, soaked])
    assert "| archive 1 | 200 | 12,345 | 0 | 0 | 2026-01-02 |" in filled
    assert "| memory of a | 100.0 MiB | 100.0 MiB | yes |" in filled
    assert "what was there" not in filled
    assert report.filled(filled, [one, soaked]) == filled
    with pytest.raises(ValueError, match="figures: soak"):
        report.filled(text.replace("soak", "other"), [])
