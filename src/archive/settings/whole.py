"""All settings together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from archive.settings.doors import (
    Dimse,
    HL7Settings,
    Http,
    TLSSettings,
    XDSSettings,
)
from archive.settings.keeping import (
    DecodingSettings,
    DeletionSettings,
    IndexSettings,
    Limits,
    Log,
    MediaSettings,
    RejectionSettings,
    StorageSettings,
    ViewerSettings,
)
from archive.settings.people import (
    AuditSettings,
    OpenIDSettings,
    ShareSettings,
    SignInSettings,
    TokenSettings,
)
from archive.settings.planning import WorkitemSettings, WorklistSettings
from archive.settings.values import (
    AETitleSeed,
    Coercion,
    CoercionRule,
    CompressionRule,
    RetentionRule,
    setting,
)

MOST_DEFAULT_WORKERS = 2


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
    deletion: DeletionSettings = DeletionSettings()
    limits: Limits = Limits()
    decoding: DecodingSettings = DecodingSettings()
    tokens: TokenSettings = TokenSettings()
    sign_in: SignInSettings = SignInSettings()
    openid: OpenIDSettings = OpenIDSettings()
    shares: ShareSettings = ShareSettings()
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
    retention: tuple[RetentionRule, ...] = setting(
        (), "Rules of how long studies are kept, and what becomes of them then; the first that fits counts."
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
