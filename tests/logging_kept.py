"""What a command makes of the logging of its process ends with the test that ran it."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import structlog

from archive.supervisor import logs


@contextlib.contextmanager
def logging_put_back() -> Iterator[None]:
    """Whatever the block makes of this process's logging is undone."""
    handlers, level = logging.root.handlers[:], logging.root.level
    hooks = sys.excepthook, threading.excepthook
    levels = {name: logging.getLogger(name).level for name in (*logs.QUOTES_VALUES, *logs.CHATTERS)}
    try:
        with warnings.catch_warnings():
            yield
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        sys.excepthook, threading.excepthook = hooks
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
