"""Files that are part of the archive's own pages. They lie in a package, and change with the archive alone."""

from __future__ import annotations

import html
from functools import cached_property
from importlib import resources

from archive.dicom.errors import NotFound
from archive.settings.doors import Http
from archive.web.http import conditional
from archive.web.http.exchange import Answer, Asked
from archive.web.viewer.policies import LIGHT, headers, public_path

_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}


class Static:
    """Those in the folder `files` of a package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def page(self, name: str, http: Http, asked: Asked, **parts: str) -> Answer:
        """A page, which is told under which path the public sees us; `parts` are the HTML of others that it names."""
        made = self.contents[name]
        for part, text in {"base": html.escape(public_path(asked)), **parts}.items():
            made = made.replace(f"{{{{{part}}}}}".encode(), text.encode())
        around = headers(LIGHT, http)
        return Answer(200, "text/html; charset=utf-8", made, around, etag=conditional.tag(made.decode()))

    def file(self, name: str, http: Http) -> Answer:
        """A script, style sheet or picture. Raises NotFound."""
        media_type, content = _TYPES.get(name.rpartition(".")[2]), self.contents.get(name)
        if content is None or media_type is None:
            raise NotFound("there is no such file of this page")
        return Answer(200, media_type, content, headers(LIGHT, http), etag=conditional.tag(content.decode()))

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """The files by name."""
        folder = resources.files(self._package).joinpath("files")
        return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}
