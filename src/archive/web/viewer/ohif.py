"""OHIF's files, its page and its configuration.

The page is ours: that of the package has scripts within it, which our policy does not allow, and addresses from the
root of a site. Only names that the package has are looked up, so no path leads out of it; every other one is an address
within the viewer, such as /viewer/viewer?StudyInstanceUIDs=…, and gets the page.
"""

from __future__ import annotations

import html
import json
import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import NotFound
from archive.services.viewer import File, Installed
from archive.web.http import conditional
from archive.web.http.exchange import Answer, Asked, Sliced, text
from archive.web.http.urls import ROOT
from archive.web.http.weights import by_weight
from archive.web.pages import sign_in
from archive.web.viewer import light
from archive.web.viewer.policies import OHIF, OHIF_WORKERS, PATH, headers, public_path

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

INDEX = "index.html"
CONFIGURATION = "app-config.js"
FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
"""Names with a digest in them never mean anything else."""

_HASHED = re.compile(r"(.*\.)?[0-9a-f]{16}\.(js|wasm|woff2|css)")
_PAGE_LIKE = re.compile(r"[^.]*")
_PIECE = 1 << 20
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
"""Those that systems name differently, or do not know."""


def entrance(archive: Archive, asked: Asked) -> Answer:
    """/viewer: OHIF's study list, or the study that is named; without OHIF, and on a telephone, which is too
    small for it, the built-in viewer itself."""
    if (elsewhere := sign_in.first(archive, asked, PATH)) is not None:
        return elsewhere
    if archive.viewer.installed() is None or _is_telephone(asked):
        return light.page(archive, asked)
    within = "viewer" if asked.parameter("StudyInstanceUIDs") else ""
    return _elsewhere(asked, f"{PATH}/{within}")


def file(archive: Archive, asked: Asked) -> Answer:
    """A file of OHIF, or its page. Raises NotFound."""
    name = asked.path["name"]
    installed = archive.viewer.installed()
    if installed is None:
        if name in ("", "viewer"):
            return _elsewhere(asked, PATH)
        raise NotFound("no viewer is installed: archive viewer install")
    around = headers(OHIF_WORKERS if name.endswith(".js") else OHIF, archive.settings.http)
    if name == CONFIGURATION:
        body = _script(asked).encode()
        return Answer(200, "text/javascript", body, around, etag=conditional.tag(body.decode()))
    if name != INDEX and (found := installed.files.get(name)):
        return _file(installed, name, found, asked, around)
    if name != INDEX and not _PAGE_LIKE.fullmatch(name):
        raise NotFound("the viewer has no such file")
    if (elsewhere := sign_in.first(archive, asked, f"{PATH}/{name}")) is not None:
        return elsewhere
    body = _page(installed, f"{public_path(asked)}{PATH}").encode()
    return Answer(200, "text/html; charset=utf-8", body, around, etag=conditional.tag(body.decode()))


def home(_archive: Archive, asked: Asked) -> Answer:
    """The viewer, with what was asked for."""
    return _elsewhere(asked, PATH)


def _is_telephone(asked: Asked) -> bool:
    """By what it says itself (User-Agent Client Hints), or by the word that browsers of telephones all have."""
    said = asked.headers.get("sec-ch-ua-mobile", "")
    return said == "?1" or (not said and " Mobile" in asked.headers.get("user-agent", ""))


def _elsewhere(asked: Asked, path: str) -> Answer:
    query = f"?{asked.query_string}" if asked.query_string else ""
    return text(302, "the viewer is elsewhere", ("Location", f"{public_path(asked)}{path}{query}"))


def _file(installed: Installed, name: str, found: File, asked: Asked, around: Any) -> Answer:
    path, length = found.path, found.length
    if found.compressed and "gzip" in by_weight(asked.headers.get("accept-encoding", "")):
        path, length = found.compressed, found.compressed_length
        around = (*around, ("Content-Encoding", "gzip"))
    media_type = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    body = Sliced(length, lambda offset, count: _pieces(path, offset, count))
    if _HASHED.fullmatch(name):
        return Answer(200, media_type, body, (*around, FOR_EVER), length)
    return Answer(200, media_type, body, around, length, conditional.tag(installed.folder.name, path.name))


def _pieces(path: Path, offset: int, length: int) -> Iterator[bytes]:
    """Raises NotFound where another version has taken its place."""
    try:
        with path.open("rb") as opened:
            opened.seek(offset)
            while length and (piece := opened.read(min(length, _PIECE))):
                length -= len(piece)
                yield piece
    except OSError:
        raise NotFound("the viewer has no such file any longer") from None


def _page(installed: Installed, base: str) -> str:
    at = html.escape(base)
    about = installed.about
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Viewer</title>
<link rel="icon" href="{at}/assets/favicon-32x32.png">
<link rel="stylesheet" href="{at}/{html.escape(about.style)}">
<script src="{at}/{CONFIGURATION}"></script>
<script src="{at}/{html.escape(about.script)}" defer></script>
</head>
<body>
<noscript>The viewer needs JavaScript.</noscript>
<div id="react-portal"></div>
<div id="root"></div>
</body>
</html>
"""


def _script(asked: Asked) -> str:
    """What the page's own scripts said, and the configuration. Where DICOMweb is, the page itself knows best."""
    path = public_path(asked)
    configuration = json.dumps(_configuration(f"{path}{PATH}"), indent=1)
    return f"""window.PUBLIC_URL = {json.dumps(f"{path}{PATH}/")};
window.browserImportFunction = (name) => import(name.startsWith("/") ? window.PUBLIC_URL + name.slice(1) : name);
window.config = {configuration};
for (const source of window.config.dataSources) {{
  const root = window.location.origin + {json.dumps(f"{path}{ROOT}")};
  Object.assign(source.configuration, {{ qidoRoot: root, wadoRoot: root, wadoUriRoot: {_wado(path)} }});
}}
"""


def _wado(path: str) -> str:
    return f"window.location.origin + {json.dumps(f'{path}/wado')}"


def _configuration(base: str) -> dict[str, Any]:
    source = {
        "friendlyName": "Archive",
        "name": "archive",
        "qidoSupportsIncludeField": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "supportsReject": False,
        "imageRendering": "wadors",
        "thumbnailRendering": "thumbnail",
        "enableStudyLazyLoad": True,
        "singlepart": "bulkdata,video",
        "bulkDataURI": {"enabled": True},
        "omitQuotationForMultipartRequest": True,
    }
    return {
        "routerBasename": base,
        "showStudyList": True,
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "showWarningMessageForCrossOrigin": False,
        "showLoadingIndicator": True,
        "maxNumberOfWebWorkers": 3,
        "investigationalUseDialog": {"option": "configure", "days": 365},
        "defaultDataSourceName": "dicomweb",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "dicomweb",
                "configuration": source,
            }
        ],
    }
