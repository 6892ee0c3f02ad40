"""A DICOM archive. Doors over one store of bytes and one metadata index.

A module imports only from lines below its own (import-linter says so in every test run):

    cli          archive serve | import | ae …
    supervisor   binds the sockets, starts the workers, watches their heartbeats, restarts, drains
    dimse        the DIMSE door: C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET, storage commitment, worklist, MPPS
    hl7          the HL7 v2 door: orders over MLLP, for the worklist
    web          the HTTP door: STOW-RS, QIDO-RS, WADO-RS, /api, health, metrics; the only asynchronous room
    jobs         the outbox door: claims what a transaction left to be done, runs it, retries it
    bootstrap    settings in, services out; the only room that names concrete backends
    services     the decisions: ingest, search, retrieve, commitment, duplicates, worklist, who is let in
    storage      bytes under keys          index   rows and SQL
    remote       what we say to others     audit   who did what
    security     AE titles and their rules, identities, tokens, TLS contexts
    network      PS3.8 associations in both roles, on sockets with deadlines
    config       reads the settings from file, environment and options
    settings     what settings there are
    dicom        the standard as values, tables and byte-level readers; pure

The path of an object, on its way in: `network` or `web/stow` delivers pieces -> `services/ingest` writes each to the
blob while `dicom/reading` reads it -> fsync -> one index transaction -> Success. On its way out: references ->
`index/instances` -> byte ranges of the blob, passed through untouched.
"""
