"""Rules of a site about new objects: which they are for, and what they make of them.

A rule comes as a table of the settings and is read into values that cannot be wrong any more; what is wrong with a
table is one sentence, for the person who wrote it."""
