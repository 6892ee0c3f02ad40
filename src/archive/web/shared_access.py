"""What who came by a share gets of the HTTP door: the rows of the route table that are open to shares, and of an answer
that takes long only as much as goes out before the share is taken back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from archive.dicom.errors import NotAuthorized
from archive.security.shares import Reach
from archive.services.stretches import Piece
from archive.web.description.route import Route
from archive.web.http.crossing import close
from archive.web.http.exchange import Answer, Asked, Sliced

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

CHECK_SECONDS = 1.0
"""So long an answer under way goes on at most, after the share has ended."""


def check(archive: Archive, route: Route, asked: Asked) -> None:
    """Raises NotAuthorized where a share does not reach so far, InvalidQuery. Downloads are listed."""
    shared = asked.principal.share
    if shared is None:
        return
    reach = route.reached(asked)
    if reach is Reach.NONE:
        raise NotAuthorized("a share shows studies, and nothing else")
    if reach is Reach.DOWNLOAD:
        if not shared.may_download:
            raise NotAuthorized("this share is for viewing, not for downloads: ask who sent it for another")
        archive.shares.downloads(shared, asked.peer_address)


def watched(archive: Archive, asked: Asked, answer: Answer) -> Answer:
    """The answer, which breaks off soon after the share has ended."""
    shared, body = asked.principal.share, answer.body
    if shared is None or isinstance(body, bytes):
        return answer

    def still_there() -> None:
        archive.shares.check_session(shared)

    if isinstance(body, Sliced):
        sliced = body
        return replace(
            answer, body=Sliced(body.length, lambda *part: _pieces(sliced.read(*part), still_there))
        )
    return replace(answer, body=_pieces(body, still_there))


def _pieces(
    pieces: Iterator[Piece], check: Callable[[], None], clock: Callable[[], float] = time.monotonic
) -> Iterator[Piece]:
    """Raises what the check raises."""
    checked = clock()
    try:
        for piece in pieces:
            if clock() - checked >= CHECK_SECONDS:
                checked = clock()
                try:
                    check()
                except BaseException:
                    close(piece)
                    raise
            yield piece
    finally:
        close(pieces)
