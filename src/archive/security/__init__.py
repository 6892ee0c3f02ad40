"""Who is let in: the rules for AE titles. Pure; services ask, the index remembers."""
