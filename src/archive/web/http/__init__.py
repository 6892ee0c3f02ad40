"""HTTP as this door speaks it, whatever is asked: connections, bodies, negotiation, conditions, codings, errors.

A request passes `protocol` -> `middleware` -> `endpoint` -> `crossing` (threads) -> a handler, and its answer
`representation` (character set, conditions, ranges, content coding).
"""
