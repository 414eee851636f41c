"""Backups as pg_dump makes them: read to their end, and judged, before anything is touched.

`read.py` reads one and says everything that speaks against it; `checked.py` gives the restore the text of a plain
one. `split.py` and `rules.py` are pure: where statements begin and end, and what they may do.
"""
