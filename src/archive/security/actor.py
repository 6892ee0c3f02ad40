"""Who does something here, as the doors know it: what the audit trail says of each request.

A device is known by its AE title and address, a request over HTTP by its address, and both by a user where one has
signed in: `user` is what that one is known by, `user_name` what people call them.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`door` is DIMSE, HTTP, HL7, CLI or JOBS; what is not known is empty."""

    door: str
    address: str = ""
    ae_title: str = ""
    user: str = ""
    user_name: str = ""

    @property
    def name(self) -> str:
        """By what it is found in the audit trail: the user, else the AE title, else the address, else the door."""
        return self.user or self.ae_title or self.address or self.door


THE_ARCHIVE = Actor("JOBS", user="archive")
"""What it does by itself."""


def operator() -> Actor:
    """Who runs this process: for what is done at the command line."""
    try:
        return Actor("CLI", user=pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return Actor("CLI", user=f"uid {os.getuid()}")
