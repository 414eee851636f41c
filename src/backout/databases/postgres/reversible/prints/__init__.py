"""The queries of the fingerprint, one file for each family of things; `fingerprint.py` runs them.

Each gives rows of `name` and `definition`. What is hidden stands in none of them, wherever it would show: see
`words.py`. Not printed, for they are not of the schemas or cannot be taken back by anybody: roles, subscriptions,
security labels, settings of the database and of roles in it, whether a column or constraint was inherited only or
is also the child's own, rows, values of sequences, statistics, large objects, the values of user mappings' options
(they hold passwords).

Source: PostgreSQL 15 and 18 documentation, chapter "System Catalogs".
"""
