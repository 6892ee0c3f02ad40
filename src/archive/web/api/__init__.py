"""Our own HTTP API for administrators, under /api: JSON in and out, one file for each subject.

guard          who may use it: asked before every handler
json_body      bodies in, values out
ae_titles      the known AE titles, their rules, and C-ECHO
refusals       who and what was refused, and what would let them in
commitments    what others were told of commitment and availability
conflicts      objects whose identifiers are taken
rejections     rejection notes, and what they hide
worklist       what is scheduled, and what modalities have done of it
"""
