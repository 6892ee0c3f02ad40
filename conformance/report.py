"""A run on paper: a table for people, JUnit XML for build servers, JSON for programs, Markdown for a README."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import asdict

from conformance.runner import Run
from conformance.verdicts import Level, Outcome, Result

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
CHAPTER_TITLES = {
    "N": "Content negotiation", "Q": "Search (QIDO-RS)", "R": "Retrieve (WADO-RS)", "S": "Store (STOW-RS)",
    "CAP": "Retrieve Capabilities", "COM": "Storage Commitment", "DEL": "Delete (extension)",
    "UPS": "Worklist Service (UPS-RS)",
    "URI": "URI service (WADO-URI)", "DIM": "DIMSE beside the web",
}  # fmt: skip


def line(result: Result) -> str:
    """One result on one line, and for a failure what was asked and seen below it."""
    text = f"{result.outcome.value:5} {result.check_id:7} {result.title}  [{result.clause}; {result.level.value}]"
    if result.reason:
        text += f"\n      {_clean(result.reason)}"
    return text + "".join(f"\n        {_clean(one)}" for one in result.requests)


def _clean(text: str) -> str:
    return _CONTROL.sub("?", text)


def summary(run: Run) -> str:
    """Counts by level, and the notes."""
    rows = [f"{run.name} ({run.url}){', strict' if run.strict else ''}"]
    for level in Level:
        rows.append(
            f"  {level.value:10}"
            + "".join(f"{outcome.value:>7} {_count(run, outcome, level):3}" for outcome in Outcome)
        )
    rows.append(
        f"  {'all':10}" + "".join(f"{outcome.value:>7} {run.count(outcome):3}" for outcome in Outcome)
    )
    return "\n".join([*rows, *(f"  note: {_clean(note)}" for note in run.notes)])


def _count(run: Run, outcome: Outcome, level: Level | None = None, service: str = "") -> int:
    return sum(
        result.outcome is outcome and level in (None, result.level) and service in ("", letters(result))
        for result in run.results
    )


def letters(result: Result) -> str:
    """The service of a result: `N` of `N4.2`."""
    return re.sub(r"[\d.]", "", result.check_id)


def as_json(runs: Sequence[Run]) -> str:
    """Every result of every run."""
    return json.dumps([asdict(run) for run in runs], indent=1, ensure_ascii=False)


def as_junit(runs: Sequence[Run]) -> str:
    """A testsuite for each run, a testcase for each check."""
    root = ElementTree.Element("testsuites")
    for run in runs:
        facts = {
            "name": run.name,
            "tests": str(len(run.results)),
            "failures": str(run.count(Outcome.FAIL)),
            "errors": str(run.count(Outcome.ERROR)),
            "skipped": str(run.count(Outcome.SKIP)),
        }
        suite = ElementTree.SubElement(root, "testsuite", facts)
        for result in run.results:
            _case(suite, run, result)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode")


def _case(suite: ElementTree.Element, run: Run, result: Result) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", name=f"{result.check_id} {result.title}", time=f"{result.seconds:.3f}",
        classname=f"{run.name}.{result.chapter}",
    )  # fmt: skip
    kind = {Outcome.FAIL: "failure", Outcome.ERROR: "error", Outcome.SKIP: "skipped"}.get(result.outcome)
    if kind:
        reason = ElementTree.SubElement(case, kind, message=_clean(result.reason))
        reason.text = _clean("\n".join([f"{result.clause} ({result.level.value})", *result.requests]))


def as_markdown(runs: Sequence[Run]) -> str:
    """The runs side by side: counts for each service, then every check."""
    names = [run.name for run in runs]
    head = f"| Service | {' | '.join(f'{name}: pass / fail / skip' for name in names)} |"
    rows = [head, "|---" * (len(names) + 1) + "|"]
    for letter, title in CHAPTER_TITLES.items():
        if any(letters(result) == letter for run in runs for result in run.results):
            rows.append(f"| {title} | {' | '.join(_cell(run, letter) for run in runs)} |")
    rows.append(f"| **All** | {' | '.join(_cell(run, '') for run in runs)} |")
    rows += [
        "",
        "<details><summary>Every check</summary>",
        "",
        f"| Check | What it asks | Clause | Level | {' | '.join(names)} |",
        "|---" * (len(names) + 4) + "|",
    ]
    found = [{result.check_id: result for result in run.results} for run in runs]
    for result in runs[0].results:
        marks = " | ".join(_mark(one.get(result.check_id)) for one in found)
        about = f"{_cell_text(result.title)} | {_cell_text(result.clause)} | {result.level.value}"
        rows.append(f"| {result.check_id} | {about} | {marks} |")
    return "\n".join([*rows, "", "</details>"]) + "\n"


BEGIN, END = "<!-- begin results -->", "<!-- end results -->"


def filled(document: str, text: str) -> str:
    """The document with the text between its marks; the text alone when it has none."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    return f"{head}{begin}\n\n{text}\n{end}{tail}" if begin and end else text


def _cell_text(text: str) -> str:
    return _clean(text).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _cell(run: Run, service: str) -> str:
    passed, skipped = _count(run, Outcome.PASS, None, service), _count(run, Outcome.SKIP, None, service)
    wrong = _count(run, Outcome.FAIL, None, service) + _count(run, Outcome.ERROR, None, service)
    return f"{passed} / {wrong} / {skipped}"


def _mark(result: Result | None) -> str:
    if result is None:
        return ""
    return {Outcome.PASS: "pass", Outcome.SKIP: "–"}.get(result.outcome, f"**{result.outcome.value}**")
