"""The inverse of a migration as plain SQL, for those who must have a file: proven on scratch, and honest about what it cannot.

`catalog.py` reads a schema, with pg_dump for the SQL that makes each thing; `statements.py` tells, pure, what leads from one to
another, one round at a time; `made.py` runs round after round in a scratch copy until nothing is left, and proves the whole
on another one; `losses.py` tells what such a file cannot bring back, and what it destroys.
"""
