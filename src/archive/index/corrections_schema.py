"""The tables of corrections."""

from __future__ import annotations
