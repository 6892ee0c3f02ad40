"""The services over one store and one index, and how they are put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from archive.bootstrap.opening import open_database
from archive.bootstrap.rooms import Rooms
from archive.decoding import nursery
from archive.decoding.pool import Decoders
from archive.index.database import Database
from archive.security.identity import Identities
from archive.security.people import Principal
from archive.security.tokens import Tokens
from archive.security.views import View
from archive.services import rules_in_effect
from archive.services.admission import Admissions
from archive.services.ae_titles import AETitles
from archive.services.audit_export import AuditExport
from archive.services.audit_log import ANCHORS, AuditLog
from archive.services.auditing import Auditing, auditing
from archive.services.commitment import Commitment
from archive.services.conflicts import Conflicts
from archive.services.correction_work import CorrectionWork
from archive.services.corrections import Corrections
from archive.services.delete import Deletion
from archive.services.deletion_requests import DeletionRequests
from archive.services.delivery import Delivery
from archive.services.duplicates import Policies
from archive.services.fonts import lettering
from archive.services.health import Health
from archive.services.holds import Holds
from archive.services.ingest import Ingest
from archive.services.notifications import Notifications
from archive.services.noting import Noting
from archive.services.openid import OpenID
from archive.services.orders import Orders
from archive.services.orphans import Orphans
from archive.services.patient_updates import PatientUpdates
from archive.services.patients import Patients
from archive.services.people import People
from archive.services.performed_steps import PerformedSteps
from archive.services.refusals import Refusals
from archive.services.rejecting import note_of
from archive.services.rejections import Reason, Rejections
from archive.services.rendering import Rendering
from archive.services.reports import Reports
from archive.services.retention import Retention
from archive.services.retrieve import Retrieve
from archive.services.scrubbing import Scrubbing
from archive.services.search import Search
from archive.services.seats import Seats
from archive.services.second_factors import SecondFactors
from archive.services.shares import Shares
from archive.services.sign_in import SignIn
from archive.services.status import StatusOfAll
from archive.services.throughput import Throughput
from archive.services.thumbnails import Thumbnails
from archive.services.up_to_date import UpToDate
from archive.services.verification import Verification
from archive.services.viewer import Viewer
from archive.services.workitem_events import WorkitemEvents
from archive.services.workitems import Workitems
from archive.services.worklist import Worklist
from archive.settings.whole import Settings
from archive.storage.base import BlobStore
from archive.storage.local import LocalStore
from archive.storage.notes import Notes


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
    deletions: DeletionRequests
    holds: Holds
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
    noting: Noting
    verification: Verification
    orphans: Orphans
    scrubbing: Scrubbing
    health: Health
    status: StatusOfAll
    throughput: Throughput
    decoders: Decoders
    auditing: Auditing
    audit_log: AuditLog
    audit_export: AuditExport
    viewer: Viewer
    people: People
    sign_in: SignIn
    second_factors: SecondFactors
    openid: OpenID
    shares: Shares
    rooms: Rooms

    def seen_by(self, view: View | None) -> Archive:
        """The archive for who sees what the view shows: of everything else they find nothing, whatever they ask for.
        None is who sees everything."""
        return self if view is None else _within(self, view)

    def shown_to(self, principal: Principal) -> Archive:
        """The archive for somebody: as their view shows it, or the copy of the de-identified share by which they came,
        beside which there is nothing. Raises Gone where that is not here, OutOfResources."""
        share = principal.share
        if share is None or share.deidentified is None:
            return self.seen_by(principal.view)
        room = self.rooms.room(share.deidentified, share.studies, self.retrieve)
        retrieve = Retrieve(room.store, room.database)
        search = Search(room.database, self.settings.limits.search_seconds)
        copy = replace(self, store=room.store, database=room.database, retrieve=retrieve, search=search)
        return copy.seen_by(principal.view or View.of_studies(()))

    def close(self) -> None:
        """Record what waits to be, give the index's connections back, and let the decoders go."""
        self.auditing.close()
        self.rooms.close()
        self.database.close()
        self.decoders.close()


def _within(archive: Archive, view: View) -> Archive:
    """What is not named here shows no objects, or takes a right that nobody has who has a view."""
    retrieve, search = archive.retrieve.seen_by(view), archive.search.seen_by(view)
    delivery = Delivery(retrieve, archive.decoders)
    rendering = Rendering(retrieve, delivery, lettering, archive.decoders)
    return replace(
        archive,
        search=search,
        patients=Patients(search),
        retrieve=retrieve,
        delivery=delivery,
        rendering=rendering,
        thumbnails=archive.thumbnails.of_others(retrieve, rendering),
        ingest=archive.ingest.seen_by(view),
        deletion=archive.deletion.seen_by(view),
        deletions=archive.deletions.seen_by(view),
        holds=archive.holds.seen_by(view),
        rejections=archive.rejections.seen_by(view),
    )


def reasons_shown(settings: Settings) -> frozenset[Reason]:
    """The reasons for which rejection notes hide nothing."""
    return frozenset({Reason.QUALITY} if settings.rejection.quality == "show" else ())


def ingesting(
    settings: Settings,
    store: BlobStore,
    database: Database,
    titles: AETitles,
    recording: Auditing,
    throughput: Throughput | None = None,
) -> Ingest:
    """The one way in."""
    return Ingest(
        store,
        database,
        settings.limits.maximum_object_bytes,
        rules_in_effect.coercions(settings),
        Policies(titles, settings.dimse.duplicates).of,
        rules_in_effect.shapers(settings),
        partial(note_of, shown=reasons_shown(settings)),
        wanted=rules_in_effect.wanted(settings),
        preamble=settings.storage.preamble,
        receptions=recording.receptions,
        throughput=throughput,
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


def titles_and_refusals(
    settings: Settings, database: Database, recording: Auditing
) -> tuple[AETitles, Refusals]:
    """Who is known, and who was not let in."""
    titles = AETitles(database, settings.dimse.own_ae_titles, auditing=recording)
    return titles, Refusals(database, is_known=lambda t: titles.entry_of(t) is not None, auditing=recording)


def conflicts(store: BlobStore, database: Database, ingest: Ingest, recording: Auditing) -> Conflicts:
    """Who decides about objects whose identifiers are taken."""
    up_to_date = UpToDate(store, database, ingest.late_arrivals)
    return Conflicts(store, database, up_to_date=up_to_date, auditing=recording)


def viewer(settings: Settings) -> Viewer:
    """The viewer, installed or not."""
    return Viewer(Path(settings.viewer.folder) if settings.viewer.folder else settings.data / "viewer")


def local_store(settings: Settings, database: Database) -> LocalStore:
    """In folders that `prepare` has made: a worker makes none where a disk has gone."""
    return LocalStore(
        settings.data,
        minimum_free_bytes=settings.storage.minimum_free_bytes,
        index_folder=database.folder,
        make=False,
    )


def _people(settings: Settings, database: Database, recording: Auditing) -> People:
    openid = settings.openid
    return People(
        database, auditing=recording, issuer=openid.issuer, issuer_says_views=bool(openid.view_claim)
    )


def of_store_and_index(
    settings: Settings, store: BlobStore, database: Database, retrieve: Retrieve, recording: Auditing
) -> Callable[..., Archive]:
    """The archive but for what needs more than these."""
    noting = Noting(Notes(settings.data), store, database)
    rooms = Rooms(settings)
    retention = Retention(rules_in_effect.retention_rules(settings))
    deletion = Deletion(store, database, recording, retention, noting.forget)
    factors = SecondFactors(database, settings.sign_in, auditing=recording)
    return partial(
        Archive,
        settings=settings,
        store=store,
        database=database,
        retrieve=retrieve,
        deletion=deletion,
        deletions=DeletionRequests(database, deletion, recording, settings.deletion, retention),
        holds=Holds(database, recording),
        auditing=recording,
        performed_steps=PerformedSteps(database),
        noting=noting,
        verification=Verification(store, database),
        orphans=Orphans(store, database),
        scrubbing=Scrubbing(store, database, settings.storage.scrub_bytes_per_second),
        health=Health(store, database),
        status=StatusOfAll(settings, store, database),
        audit_log=AuditLog(database, settings.data / ANCHORS),
        audit_export=AuditExport(database, settings),
        viewer=viewer(settings),
        people=_people(settings, database, recording),
        sign_in=SignIn(database, settings.sign_in, factors=factors),
        second_factors=factors,
        openid=OpenID(database, settings.openid, settings.sign_in, auditing=recording),
        shares=Shares(database, settings.shares, recording, copies=rooms),
        rooms=rooms,
    )


def build(settings: Settings, *, read_only: bool = False, throughput: Throughput | None = None) -> Archive:
    """The archive in this process. `prepare` must have run; or `check_readable`, for one that is read only as its disk
    takes nothing. `throughput`: where this worker counts what passes it, for itself without one."""
    database = open_database(settings)
    store = local_store(settings, database)
    if read_only:
        database = database.frozen()
    retrieve, search = Retrieve(store, database), Search(database, settings.limits.search_seconds)
    decoders = Decoders(settings.decoding, nursery.OF_THIS_PROCESS.child)
    recording, delivery = auditing(settings, database), Delivery(retrieve, decoders)
    rendering = Rendering(retrieve, delivery, lettering, decoders)
    titles, refusals = titles_and_refusals(settings, database, recording)
    commitment = Commitment(store, database, view_of=titles.view_of)
    worklist = Worklist(database, settings.worklist)
    corrections = Corrections(database, CorrectionWork(store, database, settings.dimse.ae_title), recording)
    ingest = ingesting(settings, store, database, titles, recording, throughput)
    return of_store_and_index(settings, store, database, retrieve, recording)(
        ingest=ingest,
        throughput=ingest.throughput,
        search=search,
        rendering=rendering,
        thumbnails=Thumbnails(retrieve, rendering),
        delivery=delivery,
        conflicts=conflicts(store, database, ingest, recording),
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
        orders=Orders(database, worklist, recording),
        patient_updates=PatientUpdates(database, corrections),
        decoders=decoders,
    )
