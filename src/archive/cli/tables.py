"""Rows for a person or a program."""

from __future__ import annotations

from datetime import datetime

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text


def when(seconds: float) -> str:
    """A moment in local time."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show(headings: list[str], rows: list[list[str]]) -> None:
    """A table on a terminal; lines with tabs for a program. Strangers choose some of the texts, so what could steer
    a terminal is shown as its number."""
    console = Console()
    safe = [[printable(cell) for cell in row] for row in rows]
    if not console.is_terminal:
        for row in safe:
            typer.echo("\t".join(row))
        return
    table = Table(*headings, show_edge=False)
    for row in safe:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def printable(text: str) -> str:
    """With numbers for what could steer a terminal."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
