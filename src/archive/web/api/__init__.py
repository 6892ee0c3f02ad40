"""Our own HTTP API for administrators, under /api: JSON in and out, one file for each subject.

guard          who may use it: asked before every handler
json_body      bodies in, values out
conflicts      objects whose identifiers are taken
"""
