"""`archive demo`: a few synthetic studies, so that a newcomer sees something in a minute.

`plan` says who there is and what of each; `anatomy` and `pictures` are what scanners would see, `images`, `reports`
what they would write. Nothing in it is of a person, nor are the names those of people.
"""
