"""The doors: HTTP, DIMSE and its TLS, HL7, and the document source."""

from __future__ import annotations

from dataclasses import dataclass

from archive.settings.values import Address, setting

DUPLICATES = ("reject", "keep", "replace", "conflict")
"""What may become of an object whose identifiers are taken."""
HL7_CHARACTER_SETS = (
    *("UNICODE UTF-8", "ASCII", "GB 18030-2000", "KS X 1001", "BIG-5", "ISO IR87"),
    *(f"8859/{number}" for number in (*range(1, 12), 13, 14, 15, 16)),
)
"""Those of HL7 table 0211 that a whole message may be in."""
_HTTP = Address("127.0.0.1", 8080)
_DIMSE = Address("0.0.0.0", 11112)


@dataclass(frozen=True)
class Http:
    """The HTTP door: DICOMweb, health and metrics."""

    listen: Address = setting(_HTTP, "HOST:PORT; any host but this machine's own needs behind_proxy.")
    public_url: str = setting("", "URL by which others reach the archive; empty: as the request says.")
    behind_proxy: bool = setting(False, "True when a reverse proxy guards HTTP; its Forwarded headers count.")
    cors_origins: tuple[str, ...] = setting((), 'Origins whose pages may read answers; ["*"] allows all.')
    maximum_body_bytes: int = setting(68719476736, "Largest request body, of many objects perhaps.", 1)
    maximum_connections: int = setting(
        1000, "Connections at one time in each worker; for more, idle ones are closed.", 10
    )
    idle_deadline: int = setting(60, "Seconds that a body on its way in or out may stand still.", 1)
    strict: bool = setting(False, "True refuses what PS3.18 says to refuse though clients in use send it.")
    deletion: bool = setting(True, "False refuses to DELETE studies, series and instances.")
    administration: str = setting(
        "local",
        "Who may use /api: local (administrators who signed in; without sign-in this machine), on, off.",
        choices=("local", "on", "off"),
    )


@dataclass(frozen=True)
class Dimse:
    """The DIMSE door: associations with modalities and workstations."""

    listen: Address = setting(_DIMSE, "HOST:PORT; other machines get in only when their AE title is known.")
    ae_title: str = setting("ARCHIVE", "The AE title of the archive, at most 16 characters.")
    more_ae_titles: tuple[str, ...] = setting((), "Further AE titles by which the archive may be called.")
    trust_this_machine: bool = setting(True, "False lets in from this machine too only who is known.")
    maximum_pdu_length: int = setting(131072, "Largest P-DATA-TF PDU that a peer may send, in bytes.", 4096)
    maximum_associations: int = setting(100, "Associations at one time in each worker; more are rejected.", 1)
    maximum_connections_per_address: int = setting(50, "The same for connections from one address.", 1)
    association_deadline: int = setting(10, "Seconds from connecting to a whole A-ASSOCIATE-RQ (ARTIM).", 1)
    pdu_deadline: int = setting(30, "Seconds from the first to the last byte of one PDU.", 1)
    idle_deadline: int = setting(300, "Seconds that an association may be silent between messages.", 1)
    connect_deadline: int = setting(10, "Seconds for connecting and associating with a peer of ours.", 1)
    response_deadline: int = setting(120, "Seconds that a peer of ours may take to answer a request.", 1)
    pending_interval: int = setting(
        1, "Seconds between pending responses of C-MOVE and C-GET; 0: after each.", 0
    )
    duplicates: str = setting(
        "reject",
        "Another version of what is stored, by any door: reject, keep, replace, conflict.",
        choices=DUPLICATES,
    )
    commitment_wait: int = setting(30, "Seconds that storage commitment waits for what is not here yet.", 0)
    commitment_same_association: bool = setting(True, "False tells its result on a new association always.")
    notification_quiet: int = setting(60, "Seconds until a study without news is told of as available.", 10)
    report_days: int = setting(7, "Days of trying to tell an AE title of a commitment or a study.", 1)

    @property
    def own_ae_titles(self) -> tuple[str, ...]:
        """Every AE title by which the archive may be called; by the first it calls others."""
        return tuple(dict.fromkeys((self.ae_title, *self.more_ae_titles)))


@dataclass(frozen=True)
class TLSSettings:
    """DIMSE over TLS, both ways. Changed files are in effect at once, for new associations."""

    listen: str = setting("", "HOST:PORT of DIMSE over TLS, usually port 2762; empty: none.")
    certificate: str = setting("", "PEM file with the archive's certificate, and those of its CAs after it.")
    key: str = setting("", "PEM file with its key, without a password; empty: in the same file.")
    client_ca: str = setting("", "PEM file with the CAs that sign the certificates of peers that call us.")
    client_certificates: str = setting(
        "required",
        "Whether peers show one: no, optional or required.",
        choices=("no", "optional", "required"),
    )
    server_ca: str = setting("", "The same for peers that we call; empty: client_ca, else the system's.")
    check_host: bool = setting(True, "False does not compare a certificate with the host that was called.")
    crl: str = setting("", "PEM file with a revocation list of each of these CAs; empty: none is heeded.")
    profile: str = setting(
        "bcp195", "Cipher suites by PS3.15 B.12, or B.13 (modified).", choices=("bcp195", "bcp195-modified")
    )


@dataclass(frozen=True)
class HL7Settings:
    """The HL7 door: orders in HL7 v2 over MLLP fill the worklist, news of patients correct it and the archive."""

    listen: str = setting("", "HOST:PORT for HL7 over MLLP, usually port 2575; empty: off.")
    tls_listen: str = setting("", "HOST:PORT for the same over TLS, with the certificates of [tls].")
    senders: tuple[str, ...] = setting((), "Addresses and networks that may send, besides this machine.")
    character_set: str = setting(
        "UNICODE UTF-8",
        "That of messages without MSH-18, by its name in HL7 table 0211.",
        choices=HL7_CHARACTER_SETS,
    )
    assigning_authorities: tuple[str, ...] = setting(
        (), "Who gives the patient IDs in use here (PID-3.4), the usual one first; else the first counts."
    )
    processing_ids: tuple[str, ...] = setting(
        ("P",), "Values of MSH-11 that are taken: P production, T training, D debugging."
    )
    maximum_connections: int = setting(20, "Connections at one time; more are closed.", 1)
    maximum_message_bytes: int = setting(1048576, "Largest message.", 1024)
    message_deadline: int = setting(30, "Seconds from the first to the last byte of a message.", 1)
    idle_deadline: int = setting(3600, "Seconds that a connection may be silent between messages.", 1)


@dataclass(frozen=True)
class XDSSettings:
    """The imaging document source of IHE XDS-I.b: other sites retrieve by RAD-69."""

    repository_unique_id: str = setting("", "The OID by which they name this archive; empty: RAD-69 is off.")
