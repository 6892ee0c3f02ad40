"""Logs are JSON lines, and quote no patient."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog

from archive.dicom.errors import NotFound
from archive.supervisor import logs
from logging_kept import logging_put_back

PATIENT = "Doe^Jane"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logging as a worker has it, into memory; put back afterwards."""
    text = io.StringIO()
    with logging_put_back():
        logs.configure("info", "dimse", text)
        yield text


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_fields(stream: io.StringIO) -> None:
    structlog.get_logger().info("stored", SOPInstanceUID="1.2.3", seconds=0.5)
    structlog.get_logger().debug("not shown")
    (line,) = lines(stream)
    assert line["event"] == "stored"
    assert (line["SOPInstanceUID"], line["seconds"], line["level"], line["worker"]) == (
        "1.2.3",
        0.5,
        "info",
        "dimse",
    )
    assert str(line["timestamp"]).endswith("Z")


def test_libraries_log_in_the_same_form(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("started with %d", 3)
    (line,) = lines(stream)
    assert (line["event"], line["level"]) == ("started with 3", "warning")


@pytest.mark.parametrize("library", ["archive.x", "uvicorn.error"])
def test_an_exception_is_logged_without_its_words(stream: io.StringIO, library: str) -> None:
    try:
        raise ValueError(f"not a date: {PATIENT}")
    except ValueError:
        structlog.get_logger().error("failed", exc_info=True)
        logging.getLogger(library).exception("failed")
    assert PATIENT not in stream.getvalue()
    for line in lines(stream):
        assert line["exception"] == "builtins.ValueError"
        assert "test_logs.py" in str(line["where"])


def test_our_own_errors_keep_their_reason(stream: io.StringIO) -> None:
    structlog.get_logger().error("failed", exc_info=NotFound("nothing is stored there"))
    assert lines(stream)[0]["reason"] == "nothing is stored there"


def test_an_uncaught_exception_is_logged_the_same_way(stream: io.StringIO) -> None:
    error = ValueError(PATIENT)
    sys.excepthook(ValueError, error, None)

    def fail() -> None:
        raise ValueError(PATIENT)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert PATIENT not in stream.getvalue()
    assert [line["event"] for line in lines(stream)] == ["uncaught exception"] * 2


def test_what_dicom_libraries_say_is_not_passed_on(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("pydicom").error("Invalid value for VR DA: %s", PATIENT)
    logging.getLogger("pydicom.dataset").error("Invalid value for VR DA: %s", PATIENT)
    warnings.warn(PATIENT, UserWarning, stacklevel=1)
    assert PATIENT not in stream.getvalue() + capsys.readouterr().err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_h20_what_strangers_are_called_steers_no_terminal_and_begins_no_line(terminal: bool) -> None:
    """reliability.md H20: in every field, and in the event of a library."""
    text = _Terminal() if terminal else io.StringIO()
    evil = "A\x1b]0;x\x07\r\nforged\x7f\x9b31m\u2028\u202e"
    with logging_put_back():
        logs.configure("info", "dimse", text)
        structlog.get_logger().warning("refused", calling=evil, several=[evil], named={"of": evil})
        structlog.get_logger().info(evil)
        logging.getLogger("uvicorn.error").warning("said %s", evil)
    shown = text.getvalue()
    assert not {each for each in shown if not each.isprintable()} - ({"\n", "\x1b"} if terminal else {"\n"})
    colours = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b" not in colours
    assert "forged" in colours
    assert len(shown.splitlines()) == 3
