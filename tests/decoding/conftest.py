"""Decoders of this process, and frames for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from archive.decoding import nursery
from archive.decoding.pool import Decoders
from archive.decoding.turns import OF_THIS_MACHINE, Turns
from archive.settings.keeping import DecodingSettings

# The frames are those of the dicom tests.
sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))


@pytest.fixture
def making() -> Iterator[Callable[..., Decoders]]:
    """A factory of decoders with settings of the test's choice."""
    with ExitStack() as stack:

        def make(turns: Turns = OF_THIS_MACHINE, **settings: int) -> Decoders:
            made = Decoders(DecodingSettings(**settings), nursery.OF_THIS_PROCESS.child, turns)
            return stack.enter_context(closing(made))

        yield make


@pytest.fixture
def decoders(making: Callable[..., Decoders]) -> Decoders:
    """With the settings of an archive."""
    return making()
