"""The pages about shares, as rows of the route table."""

from __future__ import annotations

from archive.security.roles import Right
from archive.web.api.shares import LINK
from archive.web.console import pages, share_pages
from archive.web.console.table import page
from archive.web.description import pages as described
from archive.web.description.route import Route

SHARE_PAGES: tuple[Route, ...] = (
    page("/shares", "SharesPage", share_pages.listed, Right.SHARE, described.SHARES),
    Route(
        "GET",
        f"{LINK}/{{secret}}",
        "OpenSharePage",
        "",
        share_pages.entrance,
        right=None,
        about=described.OPEN_SHARE,
        refused=pages.refused,
    ),
)
