"""What a migration's own statements do to rows: kept as it happens, taken back and made again.

While a migration runs, triggers log every row that it inserts, updates or deletes, also by cascades, triggers and DO
blocks (`capture.py`); what the statistics of its transaction show beyond that is not captured, and must not be committed
(`counts.py`). On the way back the logs of all chosen migrations are folded (`fold.py`: per row the oldest image and the
newest), compared with what is there now (`compare.py`), and written once (`write.py`, called by `undo.py`). What was
changed since is kept, and reported (`report.py`).
"""
