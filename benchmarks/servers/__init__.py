"""The servers that are measured, and the floors beside them."""
