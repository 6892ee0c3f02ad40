"""What goes out in the answers to retrievals, counted as it goes: a large study is a stretch of a plot, not a spike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.types import Message, Send

from archive.web.http.exchange import Answer

if TYPE_CHECKING:
    from archive.services.throughput import Throughput
    from archive.web.description.route import Route

_RETRIEVALS = ("9", "10.4")
"""The clauses of PS3.18 on them."""


class Outflow:
    """`send` of one answer, which counts. Of a HEAD, or of an answer that holds nothing of what is stored, nothing."""

    def __init__(self, throughput: Throughput, route: Route, answer: Answer, method: str, send: Send) -> None:
        self._throughput = throughput
        self._send = send
        self._counts = (
            method != "HEAD" and answer.status < 300 and (route.clause in _RETRIEVALS or answer.objects > 0)
        )
        self._objects = answer.objects if answer.is_whole else 0

    async def __call__(self, message: Message) -> None:
        await self._send(message)
        if message["type"] == "http.response.body":
            self.add(len(message["body"]))

    def add(self, length: int) -> None:
        """So many bytes more of the body have gone out, whichever way. From one thread at a time."""
        if self._counts and (length or self._objects):
            objects, self._objects = self._objects, 0
            self._throughput.answered(objects, length)
