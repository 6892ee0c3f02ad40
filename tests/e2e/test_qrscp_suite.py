"""pynetdicom's tests of its own archive, qrscp, run unmodified from its wheel against ours; see qrscp_launcher.

They are tests of one implementation, so they expect things that the standard does not say, and some that it forbids.
Every one is listed here with what it expects and why it may fail, and with the assertion at which it does: another
one would be news. test_qrscp_db.py asks qrscp's database module, no server, and plays no part; the classes named CLI
start the same tests by another command line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest

from archive_process import clean_environment

HERE = Path(__file__).resolve().parent
FILES = ("echo", "find", "get", "move", "store")

PASS = ""
ONE_ANSWER_FEWER = "assert 0 == 65280"

COMMAND_LINE_OF_QRSCP = "is about the options and log messages of qrscp's command line, not about a service"
ONE_FOR_EACH_INSTANCE = (
    "expects an answer for each of five instances; at a level there is one for each entity of it (PS3.4 C.4.1.1): four "
    "patients, four studies, four series"
)

EXPECTED = {
    "test_default": (
        "assert 16382 == 131072",
        "expects qrscp's maximum PDU length; it is ours to choose (PS3.8 D.1)",
    ),
    "test_flag_version": ("expected to end by itself", COMMAND_LINE_OF_QRSCP),
    "test_flag_log_collision": ("expected to end by itself", COMMAND_LINE_OF_QRSCP),
    "test_flag_verbose": ("'Accepting Association' in ''", COMMAND_LINE_OF_QRSCP),
    "test_flag_debug": ("'pydicom.read_dataset()' in ''", COMMAND_LINE_OF_QRSCP),
    "test_flag_quiet": (PASS, "C-ECHO"),
    "test_pr_level_patient": (ONE_ANSWER_FEWER, ONE_FOR_EACH_INSTANCE),
    "test_pr_level_patient_req": (ONE_ANSWER_FEWER, ONE_FOR_EACH_INSTANCE),
    "test_pr_level_study": (ONE_ANSWER_FEWER, ONE_FOR_EACH_INSTANCE),
    "test_pr_level_study_req": (ONE_ANSWER_FEWER, ONE_FOR_EACH_INSTANCE),
    "test_pr_level_series": (ONE_ANSWER_FEWER, ONE_FOR_EACH_INSTANCE),
    "test_pr_level_series_req": (ONE_ANSWER_FEWER, ONE_FOR_EACH_INSTANCE),
    "test_pr_level_image": (
        PASS,
        "keys of every level above, each with its value; one answer for each instance",
    ),
    "test_pr_level_image_req": (PASS, "the same with one more return key"),
    "test_pr_level_patient_invalid": (
        "assert 65280 == 43264",
        "expects A900 for an empty Study Instance UID at PATIENT level. What a request may hold binds its SCU (PS3.4 "
        "C.4.1.2.1); an empty key restricts nothing, so it is answered. With a value it is A900 here as well",
    ),
    "test_pr_query": (ONE_ANSWER_FEWER, ONE_FOR_EACH_INSTANCE),
    "test_sr_query": (ONE_ANSWER_FEWER, ONE_FOR_EACH_INSTANCE),
    "test_basic[get]": (PASS, "C-GET of a patient: a pending response, then Success; the object comes"),
    "test_basic[move]": (PASS, "C-MOVE of a patient to a known AE title, as above"),
    "test_basic[store]": (PASS, "of six files, two of them one instance, five instances are kept"),
}
"""Test to (what its failure says, why it may)."""


def outcomes(folder: Path) -> dict[str, str]:
    """What each of their tests came to: the message of its failure, or nothing."""
    spec = find_spec("pynetdicom.apps.tests")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("this pynetdicom was installed without its tests")
    theirs = Path(spec.submodule_search_locations[0])
    (folder / "pytest.ini").write_text("[pytest]\n")
    files = [str(theirs / f"test_qrscp_{name}.py") for name in FILES]
    options = ["-c", "pytest.ini", "--rootdir", str(folder), "-p", "qrscp_launcher", "-k", "not CLI", "-q"]
    off = [option for name in ("randomly", "cacheprovider", "xdist") for option in ("-p", f"no:{name}")]
    path = os.pathsep.join([str(HERE), str(HERE.parent), *sys.path])
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, *off, "--junit-xml", "report.xml", *files],
        cwd=folder,
        env=clean_environment({"PYTHONPATH": path, "PYTEST_ADDOPTS": ""}),
        capture_output=True,
        timeout=300,
        check=False,
    )
    return dict(_outcome(case) for case in ElementTree.parse(folder / "report.xml").iter("testcase"))


def _outcome(case: ElementTree.Element) -> tuple[str, str]:
    name = str(case.get("name"))
    if name == "test_basic":
        name += f"[{str(case.get('classname')).rpartition('Test')[2].removesuffix('SCP').lower()}]"
    problem = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
    return name, PASS if problem is None else f"{problem.get('message')}"


def test_their_tests_come_to_what_is_listed(tmp_path: Path) -> None:
    found = outcomes(tmp_path)
    assert set(found) == set(EXPECTED)
    news = [
        f"{name} {reason}: {found[name] or 'passed'}"
        for name, (said, reason) in EXPECTED.items()
        if bool(found[name]) != bool(said) or said not in found[name]
    ]
    assert not news, "\n".join(news)
