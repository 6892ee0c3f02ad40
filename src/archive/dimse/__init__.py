"""The DIMSE door: reads a request, calls a service, words the response. One file for each service.

server       TABLE service -> handler; the one place that catches everything
contexts     which presentation contexts are accepted
statuses     TABLE error -> status
identifier  keys  answers     C-FIND and retrieve Identifiers, in and out
exchange  sub_operations      responses, pending ones and counts
"""
