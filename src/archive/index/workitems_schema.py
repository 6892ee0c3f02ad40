"""The tables of workitems."""

from __future__ import annotations
