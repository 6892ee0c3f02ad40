"""A fault that a search has to find: whether searches find anything at all."""

from __future__ import annotations


def planted(data: bytes) -> None:
    """Fails where each of five bytes is right."""
    if len(data) > 4 and data[0] == ord("f"):  # noqa: SIM102 - each a branch of its own, to be found one by one
        if data[1] == ord("a"):  # noqa: SIM102
            if data[2] == ord("u"):  # noqa: SIM102
                if data[3] == ord("l"):
                    assert data[4] != ord("t"), "a fault that was planted"


def planted_seeds() -> list[bytes]:
    """Nothing like it."""
    return [b"nothing", b"at all"]
