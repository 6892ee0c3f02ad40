"""The outbox door: claims what a transaction left to be done, runs it, retries it, gives up in the end.

worker   the loop of a job worker
table    event -> job, and what recurs
retry    the policy as data
"""
