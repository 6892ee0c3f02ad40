"""What the settings of the worklist and of the HL7 door may be: a slip is told at the start, and not by a modality."""

from __future__ import annotations

from typing import Any

import pytest

from archive import config
from archive.dicom.errors import ConfigurationError
from archive.hl7 import charsets
from archive.services.worklist import stations
from archive.settings.doors import HL7_CHARACTER_SETS


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("worklist.offered", ["SOMETIME"]),
        ("worklist.stations", ["CT1"]),
        ("worklist.stations", ["=CT1"]),
        ("worklist.stations", ["CT= A TITLE OF SEVENTEEN"]),
        ("worklist.keep_days", 0),
        ("hl7.listen", "2575"),
        ("hl7.senders", ["hospital"]),
        ("hl7.senders", ["10.0.0.0/33"]),
        ("hl7.character_set", "LATIN"),
        ("hl7.maximum_message_bytes", 1),
    ],
)
def test_settings_that_cannot_be(path: str, value: Any) -> None:
    with pytest.raises(ConfigurationError):
        config.load(environment={}, overrides={path: value})


@pytest.mark.parametrize("name", HL7_CHARACTER_SETS)
def test_every_character_set_of_the_setting_is_known_to_the_door(name: str) -> None:
    assert "Doe".encode(charsets.codec([""], name)) == b"Doe"


def test_settings_that_can_be() -> None:
    settings = config.load(
        environment={
            "ARCHIVE_WORKLIST_STATIONS": "CT=CT1, CT=CT2, *=ROOM 1",
            "ARCHIVE_HL7_LISTEN": "[::]:2575",
            "ARCHIVE_HL7_SENDERS": "10.0.0.0/8, 2001:db8::1",
            "ARCHIVE_HL7_CHARACTER_SET": "8859/1",
        }
    )
    assert stations(settings.worklist.stations) == {"CT": ("CT1", "CT2"), "*": ("ROOM 1",)}
    assert settings.hl7.senders == ("10.0.0.0/8", "2001:db8::1")
