"""The archive and its peer side by side: the same senders, the same objects, the same machine, by turns.

    python -m benchmarks                 every row of the table
    python -m benchmarks store frames    the rows whose id begins so
    python -m benchmarks --list          what rows there are
    python -m benchmarks --quick         each row once and small: whether it runs, not how fast

synthetic   objects with the headers of real devices, made from a number: the same in every run
servers     the archive, the peer and the floors (storescp, nginx, files with fsync), started and observed
loads       what asks them: DCMTK's tools, and an HTTP client that does as little as it can
rows        one file for each part of the table: what is measured, and what it must come to
reporting   medians, ratios, the machine, the table, the plots
peers       how to get the peer
stage       what a row finds: prepared files, held studies
runner      by turns: ours, the peer, ours, the peer …
"""
