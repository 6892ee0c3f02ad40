"""The tables of rejections."""

from __future__ import annotations
