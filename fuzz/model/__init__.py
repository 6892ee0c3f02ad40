"""The whole archive against a model of it: a dictionary that knows what is stored (4.4, I1-I7, I10).

things      what may be stored: few patients, studies, series and instances, so that they often get in each other's way
expected    the dictionary, and what it expects the archive to answer
server      the real server, started, killed and asked over both its doors
machine     a Hypothesis state machine that does one thing after the other to both, and compares
engines     the same history on SQLite and on PostgreSQL, in this process: same answers (I10)
"""
