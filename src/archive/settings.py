"""Every static setting: its default and one sentence.

The dataclasses below are the only list: `conf/archive.toml`, the names of the environment variables and the check for
unknown keys follow from them (`config` reads all three), so a setting is added in one place; a test then asks for its
line in `conf/archive.toml`.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MOST_DEFAULT_WORKERS = 2
DUPLICATES = ("reject", "keep", "replace", "conflict")
"""What may become of an object whose identifiers are taken."""
PREAMBLES = ("zero", "keep-tiff", "reject")
"""What may become of the 128 bytes before a PS3.10 file."""
HL7_CHARACTER_SETS = (
    *("UNICODE UTF-8", "ASCII", "GB 18030-2000", "KS X 1001", "BIG-5", "ISO IR87"),
    *(f"8859/{number}" for number in (*range(1, 12), 13, 14, 15, 16)),
)
"""Those of HL7 table 0211 that a whole message may be in."""
TOKEN_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Those of a public key: who can check a token cannot make one."""


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


def setting(default: T, sentence: str, minimum: int | None = None, choices: tuple[str, ...] = ()) -> T:
    """One setting: its default and the sentence that `conf/archive.toml` shows."""
    facts = {"sentence": sentence, "minimum": minimum, "choices": choices}
    return dataclasses.field(default=default, metadata=facts)


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
class IndexSettings:
    """The metadata index."""

    url: str = setting("", "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME; empty: in the data.")


@dataclass(frozen=True)
class StorageSettings:
    """The store of bytes."""

    minimum_free_bytes: int = setting(1073741824, "With less room on the disk, objects are refused.", 0)
    preamble: str = setting(
        "zero",
        "Preambles of files that are no zeros: zero, keep-tiff (others are zeroed), reject the object.",
        choices=PREAMBLES,
    )
    copies_days: int = setting(30, "Days that what a decided conflict kept aside stays; 0: for good.", 0)
    scrub_bytes_per_second: int = setting(8388608, "How fast what is stored is read again; 0: it is not.", 0)


@dataclass(frozen=True)
class RejectionSettings:
    """Rejection notes (IHE Imaging Object Change Management): what they hide."""

    quality: str = setting(
        "hide", "Whether notes for quality reasons hide: hide or show.", choices=("hide", "show")
    )
    keep_days: int = setting(0, "Days that the bytes of rejected instances are held; 0: for good.", 0)


@dataclass(frozen=True)
class Limits:
    """What one object or question may cost."""

    maximum_object_bytes: int = setting(17179869184, "Largest object, in bytes of its data set.", 1)
    maximum_query_results: int = setting(10000, "Most matches in one answer.", 1)
    search_seconds: int = setting(
        10, "Seconds that the index may look for matches; longer searches are refused.", 1
    )


@dataclass(frozen=True)
class DecodingSettings:
    """What the decoding of one compressed frame may cost; it happens in a process of its own."""

    memory_bytes: int = setting(4294967296, "Most memory, however large the frame.", 16777216)
    seconds: int = setting(30, "Most seconds of processor time.", 1)


@dataclass(frozen=True)
class TokenSettings:
    """JSON Web Tokens that AE titles give as user identity."""

    issuer: str = setting("", 'Who makes the tokens: "iss" in them.')
    audience: str = setting("", 'Whom they have to be for: "aud" in them.')
    jwks_file: str = setting("", "File with the public keys of the issuer, a JWK Set (RFC 7517).")
    key_file: str = setting("", "Instead, or besides: file with one public key, PEM.")
    algorithm: str = setting(
        "RS256", "The one algorithm that the key of key_file is for.", choices=TOKEN_ALGORITHMS
    )
    leeway_seconds: int = setting(30, "Seconds by which clocks may differ.", 0)


@dataclass(frozen=True)
class SignInSettings:
    """How people, and programs over HTTP, prove who they are."""

    required: str = setting(
        "auto",
        "auto: where HTTP can be reached from other machines; always; never: a proxy does it all.",
        choices=("auto", "always", "never"),
    )
    idle_minutes: int = setting(60, "Minutes after which a session that nobody uses ends.", 1)
    session_hours: int = setting(12, "Hours after which one has to sign in again.", 1)


@dataclass(frozen=True)
class WorklistSettings:
    """The modality worklist."""

    offered: tuple[str, ...] = setting(
        ("SCHEDULED", "ARRIVED", "READY", "STARTED"),
        "States of the entries that modalities get unless they ask.",
    )
    stations: tuple[str, ...] = setting(
        (), 'Stations where an entry names none: "CT=CT1" by modality, "*=AET" for any.'
    )
    keep_days: int = setting(30, "Days after which entries done with, or long past, are forgotten.", 1)


@dataclass(frozen=True)
class WorkitemSettings:
    """Workitems: Unified Procedure Steps, by DIMSE and UPS-RS."""

    worklist_label: str = setting("WORKLIST", "The Worklist Label of a workitem that is created without one.")
    keep_days: int = setting(30, "Days that what has ended is kept, or longer under a deletion lock.", 1)
    event_days: int = setting(7, "Days that events are kept for subscribers who fetch them.", 1)


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


@dataclass(frozen=True)
class MediaSettings:
    """What `archive export` writes on media."""

    contact: str = setting("", "Who makes them, with address and telephone: for README.TXT.")


@dataclass(frozen=True)
class ViewerSettings:
    """The viewer at /viewer: OHIF, when `archive viewer install` has fetched it."""

    folder: str = setting("", "Where its files are; empty: in the data.")
    registry: str = setting("https://registry.npmjs.org", "URL of the npm registry that it is fetched from.")


@dataclass(frozen=True)
class AuditSettings:
    """The audit trail (PS3.15 A.5): who did what."""

    source_id: str = setting("", "What the archive calls itself in it; empty: its AE title.")
    site_id: str = setting("", "The site that it belongs to.")
    required: bool = setting(False, "True lets nothing out that cannot be recorded first.")
    syslog: str = setting("", "HOST:PORT of a syslog receiver over TLS, usually port 6514; empty: none.")


@dataclass(frozen=True)
class Log:
    """Operational logs, on stderr. They never hold patient data."""

    level: str = setting(
        "info", "debug, info, warning or error.", choices=("debug", "info", "warning", "error")
    )


@dataclass(frozen=True)
class Settings:
    """All settings, read once and passed on."""

    data: Path = setting(Path("data"), "Folder for objects and index, made when absent.")
    workers: int = setting(0, "DIMSE workers, and as many for HTTP; 0: one for each core, at most two.", 0)
    drain_seconds: int = setting(30, "Seconds that what is running gets to end when the archive stops.", 0)
    http: Http = Http()
    dimse: Dimse = Dimse()
    tls: TLSSettings = TLSSettings()
    index: IndexSettings = IndexSettings()
    storage: StorageSettings = StorageSettings()
    rejection: RejectionSettings = RejectionSettings()
    limits: Limits = Limits()
    decoding: DecodingSettings = DecodingSettings()
    tokens: TokenSettings = TokenSettings()
    sign_in: SignInSettings = SignInSettings()
    worklist: WorklistSettings = WorklistSettings()
    workitems: WorkitemSettings = WorkitemSettings()
    hl7: HL7Settings = HL7Settings()
    xds: XDSSettings = XDSSettings()
    media: MediaSettings = MediaSettings()
    viewer: ViewerSettings = ViewerSettings()
    audit: AuditSettings = AuditSettings()
    log: Log = Log()
    ae_titles: tuple[AETitleSeed, ...] = setting((), 'Peers known from the start, as TITLE = "HOST:PORT".')
    coercion: tuple[Coercion, ...] = setting(
        (), "Values that all objects get; the former ones are kept in them."
    )
    coercion_rules: tuple[CoercionRule, ...] = setting(
        (), "Rules by which attributes of new objects are coerced; all that fit are carried out."
    )
    compression: tuple[CompressionRule, ...] = setting(
        (), "Rules by which new objects are compressed without loss; the first that fits counts."
    )

    @property
    def worker_count(self) -> int:
        """How many workers each of the two network doors gets."""
        return self.workers or min(MOST_DEFAULT_WORKERS, os.cpu_count() or 1)

    @property
    def run_folder(self) -> Path:
        """Where a running archive keeps its lock and its metrics; nothing here needs a backup."""
        return self.data / "run"

    @property
    def metrics_folder(self) -> Path:
        """Shared by all workers of one run (PROMETHEUS_MULTIPROC_DIR); emptied at each start."""
        return self.run_folder / "metrics"
