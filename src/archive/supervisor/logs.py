"""Operational logs: one JSON object a line on stderr, or pretty lines on a terminal. Never patient data.

The text of an unforeseen exception may quote a value of a data set, so an exception is logged as its type
and the places it passed through; only our own errors, whose `reason` is made for logs, keep their words.
For the same reason the warnings and log records of the DICOM libraries are not passed on. What steers a terminal is
written as its number.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

import structlog

from archive.dicom.errors import ArchiveError

QUOTES_VALUES = ("pydicom", "pynetdicom", "pylibjpeg", "PIL", "sqlalchemy", "hl7", "py.warnings")
"""Loggers of libraries that quote what they read."""

CHATTERS = ("alembic", "uvicorn")
"""Loggers of libraries that tell at length what an administrator does not ask."""

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure(level: str, door: str, stream: TextIO = sys.stderr) -> None:
    """Set up structlog and the standard library's logging for this process."""
    steps: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _naming(door),
        describe_exception,
    ]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(steps, pretty=stream.isatty()))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(threshold)
    for name in QUOTES_VALUES:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for name in CHATTERS:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    warnings.simplefilter("ignore")
    _hook_uncaught()


def _formatter(steps: list[Any], *, pretty: bool) -> logging.Formatter:
    rendering: list[Any] = [structlog.processors.JSONRenderer()]
    if pretty:
        rendering = [_without_control_characters, structlog.dev.ConsoleRenderer()]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=steps,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def _without_control_characters(_logger: Any, _method: str, event: Any) -> Any:
    """Strangers choose AE titles and more: nothing of theirs may steer a terminal or begin a line of its own. JSON has
    its own way to write such characters."""
    return {name: _printable(value) if isinstance(value, str) else value for name, value in event.items()}


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def _naming(door: str) -> Callable[[Any, str, Any], Any]:
    def name(_logger: Any, _method: str, event: Any) -> Any:
        event.setdefault("worker", door)
        return event

    return name


def describe_exception(_logger: Any, _method: str, event: Any) -> Any:
    """Turn `exc_info` into the exception's type, its reason if it is one of ours, and where it passed."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    elif isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[1] is not None:
        event.update(_description(info))
    return event


def _description(info: _ExcInfo) -> dict[str, Any]:
    kind, exception, trace = info
    frames = traceback.extract_tb(trace)
    described: dict[str, Any] = {
        "exception": f"{kind.__module__}.{kind.__qualname__}",
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(exception, ArchiveError):
        described["reason"] = exception.reason
    elif isinstance(exception, OSError) and exception.strerror:
        described["reason"] = exception.strerror
    return described


def _hook_uncaught() -> None:
    def log(kind: type[BaseException], exception: BaseException | None, trace: TracebackType | None) -> None:
        if exception is not None and not issubclass(kind, SystemExit):
            structlog.get_logger().critical("uncaught exception", exc_info=(kind, exception, trace))

    sys.excepthook = log
    threading.excepthook = lambda caught: log(caught.exc_type, caught.exc_value, caught.exc_traceback)
