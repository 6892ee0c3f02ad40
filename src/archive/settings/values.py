"""What a setting is, and the values that are more than words and numbers."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or connect: `127.0.0.1:8080`, `[::1]:8080`. Port 0 lets the system choose."""

    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Address:
        """Read `HOST:PORT`. Raises ValueError with a sentence."""
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:\[\]/@]+)):(\d{1,5})", text.strip())
        if match is None or int(match[3]) > 65535:
            raise ValueError("must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
        return Address(match[1] or match[2], int(match[3]))

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AETitleSeed:
    """An AE title that the database gets at start unless it has it: a name and where it listens."""

    title: str
    address: Address


@dataclass(frozen=True, slots=True)
class Coercion:
    """An attribute, by its keyword, and the value that every object is to have in it."""

    keyword: str
    value: str


@dataclass(frozen=True, slots=True)
class CoercionRule:
    """One table of `[[coercion_rules]]`, as JSON: what `dicom.rules.coercions` reads."""

    text: str


@dataclass(frozen=True, slots=True)
class CompressionRule:
    """One table of `[[compression]]`, as JSON: what `dicom.rules.compressions` reads."""

    text: str


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One table of `[[retention]]`, as JSON: what `dicom.rules.retention` reads."""

    text: str


def setting(default: T, sentence: str, minimum: int | None = None, choices: tuple[str, ...] = ()) -> T:
    """One setting: its default and the sentence that `conf/archive.toml` shows."""
    facts = {"sentence": sentence, "minimum": minimum, "choices": choices}
    return dataclasses.field(default=default, metadata=facts)
