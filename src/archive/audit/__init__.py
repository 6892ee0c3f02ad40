"""The audit trail's messages (PS3.15 A.5): what each event says, and how it is written for others.

`codes` has the coded values, `messages` what a message is and how it is kept, `events` one function for each event. The
services write them, `index.audit` keeps them.
"""
