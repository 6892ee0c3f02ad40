"""The composition root: settings in, services out. The only module that names concrete backends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial

from archive.dicom.reading.reader import WANTED
from archive.dicom.rules.coercions import coercion_rule
from archive.dicom.rules.compressions import CompressionRule, compression_rule
from archive.dicom.writing.coercion import coerced
from archive.index.database import Database
from archive.security.identity import Identities
from archive.security.tokens import Tokens
from archive.services.admission import Admissions
from archive.services.ae_titles import AETitles
from archive.services.coercing import Coercing, Coercions
from archive.services.commitment import Commitment
from archive.services.compressing import Compressing
from archive.services.conflicts import Conflicts
from archive.services.correction_work import CorrectionWork
from archive.services.corrections import Corrections
from archive.services.delete import Deletion
from archive.services.delivery import Delivery
from archive.services.duplicates import Policies
from archive.services.fonts import lettering
from archive.services.health import Health
from archive.services.ingest import Ingest
from archive.services.notifications import Notifications
from archive.services.orders import Orders
from archive.services.patient_updates import PatientUpdates
from archive.services.patients import Patients
from archive.services.performed_steps import PerformedSteps
from archive.services.refusals import Refusals
from archive.services.rejecting import note_of
from archive.services.rejections import Reason, Rejections
from archive.services.rendering import Rendering
from archive.services.reports import Reports
from archive.services.retrieve import Retrieve
from archive.services.search import Search
from archive.services.seats import Seats
from archive.services.shaping import Shaper
from archive.services.thumbnails import Thumbnails
from archive.services.up_to_date import UpToDate
from archive.services.workitem_events import WorkitemEvents
from archive.services.workitems import Workitems
from archive.services.worklist import Worklist
from archive.settings import Settings
from archive.storage.base import BlobStore
from archive.storage.local import LocalStore


@dataclass(frozen=True, slots=True)
class Archive:
    """The services over one store and one index. Safe to use from several threads."""

    settings: Settings
    store: BlobStore
    database: Database
    ingest: Ingest
    search: Search
    retrieve: Retrieve
    rendering: Rendering
    thumbnails: Thumbnails
    delivery: Delivery
    deletion: Deletion
    conflicts: Conflicts
    corrections: Corrections
    patients: Patients
    rejections: Rejections
    commitment: Commitment
    reports: Reports
    notifications: Notifications
    ae_titles: AETitles
    refusals: Refusals
    admissions: Admissions
    worklist: Worklist
    workitems: Workitems
    workitem_events: WorkitemEvents
    orders: Orders
    patient_updates: PatientUpdates
    performed_steps: PerformedSteps
    health: Health

    def close(self) -> None:
        """Give the index's connections back."""
        self.database.close()


def open_database(settings: Settings) -> Database:
    """The index that the settings name: SQLite in the data folder unless `index.url` says otherwise."""
    if settings.index.url:
        return Database.open(settings.index.url)
    return Database.in_file(settings.data / "index.sqlite")


def prepare(settings: Settings) -> None:
    """Bring the index's schema up to date and seed the AE titles that it never knew; once, before any worker starts.

    Raises ConfigurationError, OutOfResources."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(settings)
    try:
        database.migrate()
        titles = AETitles(database, settings.dimse.own_ae_titles)
        for seed in settings.ae_titles:
            titles.seed(seed.title, seed.address.host, seed.address.port)
    finally:
        database.close()


def announce(settings: Settings) -> None:
    """Leave it to the jobs to tell subscribers of workitems that the archive has been started. Raises
    OutOfResources."""
    database = open_database(settings)
    try:
        titles = AETitles(database, settings.dimse.own_ae_titles)
        WorkitemEvents(database, titles, settings).restarted()
    finally:
        database.close()


def coercions(settings: Settings) -> Coercions:
    """What the settings want coerced in every object."""
    wanted = tuple(coerced(one.keyword, one.value) for one in settings.coercion)
    return Coercions(wanted, settings.dimse.ae_title)


def shapers(settings: Settings) -> tuple[Shaper, ...]:
    """What is made of new objects, in this order: coerced by rules, compressed; and in the end corrected."""
    coercing, compressions = coercing_by_rules(settings), compression_rules(settings)
    made: tuple[Shaper, ...] = (coercing,) if coercing is not None else ()
    return (*made, Compressing(compressions)) if compressions else made


def coercing_by_rules(settings: Settings) -> Coercing | None:
    """What carries the rules of coercion out; None without any."""
    rules = tuple(coercion_rule(json.loads(rule.text)) for rule in settings.coercion_rules)
    return Coercing(rules, settings.dimse.ae_title) if rules else None


def compression_rules(settings: Settings) -> tuple[CompressionRule, ...]:
    """The rules of compression."""
    return tuple(compression_rule(json.loads(rule.text)) for rule in settings.compression)


def wanted(settings: Settings) -> frozenset[int]:
    """The attributes of each object that are to be known: to the index, and to the rules."""
    coercing = coercing_by_rules(settings)
    of_rules = (rule.conditions.tags for rule in compression_rules(settings))
    return WANTED.union(coercing.tags if coercing is not None else (), *of_rules)


def reasons_shown(settings: Settings) -> frozenset[Reason]:
    """The reasons for which rejection notes hide nothing."""
    return frozenset({Reason.QUALITY} if settings.rejection.quality == "show" else ())


def ingesting(settings: Settings, store: BlobStore, database: Database, titles: AETitles) -> Ingest:
    """The one way in."""
    return Ingest(
        store,
        database,
        settings.limits.maximum_object_bytes,
        coercions(settings),
        Policies(titles, settings.dimse.duplicates).of,
        shapers(settings),
        partial(note_of, shown=reasons_shown(settings)),
        wanted=wanted(settings),
    )


def admissions(settings: Settings, titles: AETitles, refusals: Refusals) -> Admissions:
    """Who decides about associations, as the settings say."""
    return Admissions(
        titles,
        refusals,
        Seats(settings.run_folder / "seats"),
        Identities(Tokens(settings.tokens)),
        trust_this_machine=settings.dimse.trust_this_machine,
    )


def titles_and_refusals(settings: Settings, database: Database) -> tuple[AETitles, Refusals]:
    """Who is known, and who was not let in."""
    titles = AETitles(database, settings.dimse.own_ae_titles)
    return titles, Refusals(database, is_known=lambda title: titles.entry_of(title) is not None)


def build(settings: Settings) -> Archive:
    """The archive in this process. `prepare` must have run."""
    store = LocalStore(settings.data, minimum_free_bytes=settings.storage.minimum_free_bytes)
    database = open_database(settings)
    retrieve, search = Retrieve(store, database), Search(database)
    commitment, delivery = Commitment(store, database), Delivery(retrieve)
    rendering = Rendering(retrieve, delivery, lettering)
    titles, refusals = titles_and_refusals(settings, database)
    worklist = Worklist(database, settings.worklist)
    corrections = Corrections(database, CorrectionWork(store, database, settings.dimse.ae_title))
    ingest = ingesting(settings, store, database, titles)
    return Archive(
        settings=settings,
        store=store,
        database=database,
        ingest=ingest,
        search=search,
        retrieve=retrieve,
        rendering=rendering,
        thumbnails=Thumbnails(retrieve, rendering),
        delivery=delivery,
        deletion=Deletion(store, database),
        conflicts=Conflicts(store, database, up_to_date=UpToDate(store, database, ingest.late_arrivals)),
        patients=Patients(search),
        corrections=corrections,
        rejections=Rejections(store, database, ingest, reasons_shown(settings)),
        commitment=commitment,
        reports=Reports(database, commitment, titles.get, settings),
        notifications=Notifications(database, titles, settings),
        ae_titles=titles,
        refusals=refusals,
        admissions=admissions(settings, titles, refusals),
        worklist=worklist,
        workitems=Workitems(database, titles, settings.workitems),
        workitem_events=WorkitemEvents(database, titles, settings),
        orders=Orders(database, worklist),
        patient_updates=PatientUpdates(database, corrections),
        performed_steps=PerformedSteps(database),
        health=Health(store, database),
    )
