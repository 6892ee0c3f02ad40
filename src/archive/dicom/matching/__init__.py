"""Matching of PS3.4 C.2.2.2 without a database: what a key means, and whether a data set in memory matches it.

key_matching, wildcards, name_patterns, fuzzy_names, moments   what keys mean
value_matching, item_matching   whether values and items match
projection   what an answer shows
"""
