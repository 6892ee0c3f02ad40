"""The audit trail (PS3.15 A.5): who did what to which study. Nothing is written yet; the room keeps its place
in the order of imports."""
