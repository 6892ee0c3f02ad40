"""Workitems, which PS3.4 annex CC calls Unified Procedure Steps: what they hold, and what they allow in which state.

attributes          what is asked of each attribute when a workitem is created, changed and ended
rules               creating and changing a workitem, and what it has to hold in the end
states              from one state to the next, and what stands against it
events              what subscribers are told
filters             the matching keys of a filtered subscription as text
"""
