"""The demo's service: takes reports over HTTP and keeps them in PostgreSQL.

It stands alone (standard library and psycopg), because a release directory or an image holds just this
folder. The folder is release 5.3.0; `v5_4_0/` holds the files that differ in 5.4.0, the bad one.
Run it with ``python -m collector`` in a release directory; configured by ``PORT``, ``HOST``,
``DATABASE_URL`` and ``HEALTH_SHOWS_VERSION`` (1: `/health` names the version too).
"""
