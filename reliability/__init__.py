"""Faults, and the proof that nothing is lost by them: the same for the archive, its peer and any other server.

    python -m reliability --list                  what runs there are
    python -m reliability kills --rounds 200      kill -9 at random under eight senders
    python -m reliability kills --rounds 200 --peer
    python -m reliability --report                docs/reliability.md's tables and plots, of the results that are there

target      a server that is tried, wherever it comes from
objects     what is sent: synthetic, each with bytes of its own
dimse, web  what speaks to it: the least of DIMSE and of DICOMweb, nothing of the archive's own
ledger      what was sent, and what was answered
checker     what must hold after a fault: invariants I1 to I7
on_disk     the part of it that looks into the archive's own folder
senders     those who send meanwhile
table       the runs, by name
figures     what came of them: one file each in results/
"""
