"""Undoes a finished migration without losing a row: what a migration does is journalled in the database it changes.

The user's migration tool runs unchanged behind a proxy (`proxy/`). Statements that would destroy something are
softened (`soften.py`: hidden, not gone); all others run as they are. Before each COMMIT the catalog is read again and
compared with what it was (`catalog.py`, `difference.py`): every difference must be of a kind that can be taken back
(`effects/`, one file per kind), or the transaction is rolled back and the statement named. What can be taken back is
journalled in the same transaction (`journal.py`) as operations by oid, attnum and name, from which the way back
(`back.py`) and the way forward again (`forward.py`) are built when they are needed.
"""
