"""Cases for what does not hang on a table: see `things.py`."""

from __future__ import annotations

from tests.services.reversible.things import CASES as OF_TABLES
from tests.services.reversible.things import Case


def owned(kind: str, name: str, set_up: str, *, privilege: str = "", superuser: bool = False) -> list[Case]:
    """Return the cases that every thing with an owner has: it, its owner, its comment and its privileges."""
    shown, sql = f"{kind} {name}", kind
    if kind in ("enum", "domain", "range"):
        sql = "DOMAIN" if kind == "domain" else "TYPE"
    me = "postgres" if superuser else "collector"
    cases = [
        Case(kind, {shown}, set_up, f"DROP {sql} {name}", superuser=superuser),
        Case(f"{kind}: owner", {shown}, f"ALTER {sql} {name} OWNER TO other", f"ALTER {sql} {name} OWNER TO {me}",
             set_up, superuser=superuser),
        Case(f"{kind}: comment", {shown}, f"COMMENT ON {sql} {name} IS 'x'", f"COMMENT ON {sql} {name} IS NULL",
             set_up, superuser=superuser),
    ]  # fmt: skip
    if privilege:
        cases.append(
            Case(f"{kind}: privileges", {shown}, f"REVOKE {privilege} FROM PUBLIC; GRANT {privilege} TO reader",
                 f"REVOKE {privilege} FROM reader; GRANT {privilege} TO PUBLIC", set_up, superuser=superuser)
        )  # fmt: skip
    return cases


_ENUM = "CREATE TYPE app.mood AS ENUM ('sad', 'happy')"
_DOMAIN = "CREATE DOMAIN app.positive AS int"
_CHECKED = "CREATE DOMAIN app.positive AS int CONSTRAINT k CHECK (VALUE > 0)"
_PAIR = "CREATE TYPE app.pair AS (a int, b text)"
_RANGE = "CREATE TYPE app.span AS RANGE (subtype = text)"


def _type(name: str, thing: str, change: str, reverse: str, set_up: str) -> Case:
    return Case(name, {thing}, change, reverse, set_up)


TYPES = [
    *owned("enum", "app.mood", _ENUM, privilege="USAGE ON TYPE app.mood"),
    _type("enum: order of labels", "enum app.mood",
          "DROP TYPE app.mood; CREATE TYPE app.mood AS ENUM ('happy', 'sad')", f"DROP TYPE app.mood; {_ENUM}", _ENUM),
    _type("enum: label between", "enum app.mood",
          "ALTER TYPE app.mood ADD VALUE 'ok' BEFORE 'happy'", f"DROP TYPE app.mood; {_ENUM}", _ENUM),
    _type("enum: name of a label", "enum app.mood", "ALTER TYPE app.mood RENAME VALUE 'sad' TO 'low'",
          "ALTER TYPE app.mood RENAME VALUE 'low' TO 'sad'", _ENUM),
    *owned("domain", "app.positive", _DOMAIN, privilege="USAGE ON TYPE app.positive"),
    _type("domain: default", "domain app.positive", "ALTER DOMAIN app.positive SET DEFAULT 1",
          "ALTER DOMAIN app.positive DROP DEFAULT", _DOMAIN),
    _type("domain: NOT NULL", "domain app.positive", "ALTER DOMAIN app.positive SET NOT NULL",
          "ALTER DOMAIN app.positive DROP NOT NULL", _DOMAIN),
    _type("domain: constraint", "domain app.positive", "ALTER DOMAIN app.positive ADD CONSTRAINT k CHECK (VALUE > 0)",
          "ALTER DOMAIN app.positive DROP CONSTRAINT k", _DOMAIN),
    _type("domain: name of a constraint", "domain app.positive", "ALTER DOMAIN app.positive RENAME CONSTRAINT k TO l",
          "ALTER DOMAIN app.positive RENAME CONSTRAINT l TO k", _CHECKED),
    _type("domain: not valid", "domain app.positive", "ALTER DOMAIN app.positive VALIDATE CONSTRAINT k",
          "ALTER DOMAIN app.positive DROP CONSTRAINT k;"
          "ALTER DOMAIN app.positive ADD CONSTRAINT k CHECK (VALUE > 0) NOT VALID",
          f"{_DOMAIN}; ALTER DOMAIN app.positive ADD CONSTRAINT k CHECK (VALUE > 0) NOT VALID"),
    _type("domain: comment of a constraint", "domain app.positive",
          "COMMENT ON CONSTRAINT k ON DOMAIN app.positive IS 'x'",
          "COMMENT ON CONSTRAINT k ON DOMAIN app.positive IS NULL", _CHECKED),
    *owned("type", "app.pair", _PAIR, privilege="USAGE ON TYPE app.pair"),
    _type("composite: attribute", "type app.pair", "ALTER TYPE app.pair ADD ATTRIBUTE c int",
          "ALTER TYPE app.pair DROP ATTRIBUTE c", _PAIR),
    _type("composite: type of an attribute", "type app.pair", "ALTER TYPE app.pair ALTER ATTRIBUTE a TYPE bigint",
          "ALTER TYPE app.pair ALTER ATTRIBUTE a TYPE int", _PAIR),
    _type("composite: comment of an attribute", "type app.pair", "COMMENT ON COLUMN app.pair.a IS 'x'",
          "COMMENT ON COLUMN app.pair.a IS NULL", _PAIR),
    Case("range", {"range app.span", *(f"function app.{name}" for name in (
            "span(text, text)", "span(text, text, text)", "span_multirange()", "span_multirange(app.span)",
            "span_multirange(app.span[])"))},
         _RANGE, "DROP TYPE app.span"),
    _type("range: collation", "range app.span",
          'DROP TYPE app.span; CREATE TYPE app.span AS RANGE (subtype = text, collation = "C")',
          f"DROP TYPE app.span; {_RANGE}", _RANGE),
    Case("type: shell", {"type app.shell"}, "CREATE TYPE app.shell", "DROP TYPE app.shell", superuser=True),
    Case("type: base", {"type app.b", "function app.b_in(cstring)", "function app.b_out(app.b)"},
         "CREATE TYPE app.b;"
         "CREATE FUNCTION app.b_in(cstring) RETURNS app.b LANGUAGE internal IMMUTABLE STRICT AS 'int4in';"
         "CREATE FUNCTION app.b_out(app.b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';"
         "CREATE TYPE app.b (INPUT = app.b_in, OUTPUT = app.b_out, LIKE = int4)",
         "DROP TYPE app.b CASCADE", superuser=True),
]  # fmt: skip

_FUNCTION = "CREATE FUNCTION app.f(x int) RETURNS int LANGUAGE sql AS 'SELECT x'"
_PROCEDURE = "CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1'"
_AGGREGATE = "CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int, initcond = '0')"

FUNCTIONS = [
    *owned("function", "app.f(integer)", _FUNCTION, privilege="EXECUTE ON FUNCTION app.f(int)"),
    _type("function: body", "function app.f(integer)", _FUNCTION.replace("CREATE", "CREATE OR REPLACE").replace("x'", "2'"),
          _FUNCTION.replace("CREATE", "CREATE OR REPLACE"), _FUNCTION),
    _type("function: volatility", "function app.f(integer)", "ALTER FUNCTION app.f(int) IMMUTABLE",
          "ALTER FUNCTION app.f(int) VOLATILE", _FUNCTION),
    _type("function: settings", "function app.f(integer)", "ALTER FUNCTION app.f(int) SET work_mem = '1MB'",
          "ALTER FUNCTION app.f(int) RESET work_mem", _FUNCTION),
    *owned("procedure", "app.p()", _PROCEDURE, privilege="EXECUTE ON PROCEDURE app.p()"),
    *owned("aggregate", "app.total(integer)", _AGGREGATE, privilege="EXECUTE ON FUNCTION app.total(int)"),
    _type("aggregate: definition", "aggregate app.total(integer)",
          _AGGREGATE.replace("CREATE", "CREATE OR REPLACE").replace("'0'", "'1'"),
          _AGGREGATE.replace("CREATE", "CREATE OR REPLACE"), _AGGREGATE),
]  # fmt: skip

_SEQUENCE = "CREATE SEQUENCE app.s"


def _sequence(name: str, change: str, reverse: str) -> Case:
    return Case(f"sequence: {name}", {"sequence app.s"}, change, reverse, _SEQUENCE)


SEQUENCES = [
    *owned("sequence", "app.s", _SEQUENCE),
    _sequence(
        "privileges", "GRANT USAGE ON SEQUENCE app.s TO reader", "REVOKE USAGE ON SEQUENCE app.s FROM reader"
    ),
    _sequence("increment", "ALTER SEQUENCE app.s INCREMENT 5", "ALTER SEQUENCE app.s INCREMENT 1"),
    _sequence("type", "ALTER SEQUENCE app.s AS int", "ALTER SEQUENCE app.s AS bigint"),
    _sequence("bounds", "ALTER SEQUENCE app.s MAXVALUE 9", "ALTER SEQUENCE app.s NO MAXVALUE"),
    _sequence("start", "ALTER SEQUENCE app.s START 5", "ALTER SEQUENCE app.s START 1"),
    _sequence("cache", "ALTER SEQUENCE app.s CACHE 5", "ALTER SEQUENCE app.s CACHE 1"),
    _sequence("cycle", "ALTER SEQUENCE app.s CYCLE", "ALTER SEQUENCE app.s NO CYCLE"),
    _sequence("unlogged", "ALTER SEQUENCE app.s SET UNLOGGED", "ALTER SEQUENCE app.s SET LOGGED"),
    _sequence("owned by", "ALTER SEQUENCE app.s OWNED BY app.t.a", "ALTER SEQUENCE app.s OWNED BY NONE"),
]

_VIEW = "CREATE VIEW app.v AS SELECT a FROM app.t"
_KEPT = "CREATE MATERIALIZED VIEW app.m AS SELECT a FROM app.t"


def _view(name: str, change: str, reverse: str, *more: str) -> Case:
    return Case(f"view: {name}", {"view app.v", *more}, change, reverse, _VIEW)


def _kept(name: str, change: str, reverse: str, *more: str) -> Case:
    return Case(f"materialized view: {name}", {"materialized view app.m", *more}, change, reverse, _KEPT)


VIEWS = [
    Case("view", {"view app.v", "column app.v.a"}, _VIEW, "DROP VIEW app.v"),
    _view("definition", "CREATE OR REPLACE VIEW app.v AS SELECT a FROM app.t WHERE a > 1",
          "CREATE OR REPLACE VIEW app.v AS SELECT a FROM app.t"),
    _view("options", "ALTER VIEW app.v SET (security_barrier)", "ALTER VIEW app.v RESET (security_barrier)"),
    _view("privileges", "GRANT SELECT ON app.v TO reader", "REVOKE SELECT ON app.v FROM reader"),
    _view("owner", "ALTER VIEW app.v OWNER TO other", "ALTER VIEW app.v OWNER TO collector"),
    _view("comment", "COMMENT ON VIEW app.v IS 'x'", "COMMENT ON VIEW app.v IS NULL"),
    Case("materialized view", {"materialized view app.m", "column app.m.a"}, _KEPT, "DROP MATERIALIZED VIEW app.m"),
    _kept("definition", "DROP MATERIALIZED VIEW app.m; CREATE MATERIALIZED VIEW app.m AS SELECT a FROM app.t WHERE a > 1",
          f"DROP MATERIALIZED VIEW app.m; {_KEPT}"),
    _kept("privileges", "GRANT SELECT ON app.m TO reader", "REVOKE SELECT ON app.m FROM reader"),
    _kept("options", "ALTER MATERIALIZED VIEW app.m SET (fillfactor = 50)",
          "ALTER MATERIALIZED VIEW app.m RESET (fillfactor)"),
    _kept("owner", "ALTER MATERIALIZED VIEW app.m OWNER TO other", "ALTER MATERIALIZED VIEW app.m OWNER TO collector"),
    _kept("comment", "COMMENT ON MATERIALIZED VIEW app.m IS 'x'", "COMMENT ON MATERIALIZED VIEW app.m IS NULL"),
    _kept("no data", "REFRESH MATERIALIZED VIEW app.m WITH NO DATA", "REFRESH MATERIALIZED VIEW app.m"),
    Case("materialized view: index", {"index app.i"}, "CREATE INDEX i ON app.m (a)", "DROP INDEX app.i", _KEPT),
]  # fmt: skip

_PUBLICATION = "CREATE PUBLICATION p"
_PUBLISHED = "CREATE PUBLICATION p FOR TABLE app.t"
_TABLE = {"publication p of table app.t"}


def _publication(name: str, change: str, reverse: str, **more: int) -> Case:
    return Case(f"publication: {name}", {"publication p"}, change, reverse, _PUBLICATION, **more)


PUBLICATIONS = [
    Case("publication", {"publication p"}, _PUBLICATION, "DROP PUBLICATION p"),
    _publication("operations", "ALTER PUBLICATION p SET (publish = 'insert')",
                 "ALTER PUBLICATION p SET (publish = 'insert, update, delete, truncate')"),
    _publication("via root", "ALTER PUBLICATION p SET (publish_via_partition_root)",
                 "ALTER PUBLICATION p SET (publish_via_partition_root = off)"),
    _publication("generated columns", "ALTER PUBLICATION p SET (publish_generated_columns = stored)",
                 "ALTER PUBLICATION p SET (publish_generated_columns = none)", since=18),
    _publication("owner", "ALTER PUBLICATION p OWNER TO other", "ALTER PUBLICATION p OWNER TO collector"),
    _publication("comment", "COMMENT ON PUBLICATION p IS 'x'", "COMMENT ON PUBLICATION p IS NULL"),
    Case("publication: table", _TABLE, "ALTER PUBLICATION p ADD TABLE app.t", "ALTER PUBLICATION p DROP TABLE app.t",
         _PUBLICATION),
    Case("publication: columns", _TABLE, "ALTER PUBLICATION p SET TABLE app.t (id, a)",
         "ALTER PUBLICATION p SET TABLE app.t", _PUBLISHED),
    Case("publication: rows", _TABLE, "ALTER PUBLICATION p SET TABLE app.t WHERE (id > 5)",
         "ALTER PUBLICATION p SET TABLE app.t", _PUBLISHED),
    Case("publication: all tables", {"publication p"}, "CREATE PUBLICATION p FOR ALL TABLES", "DROP PUBLICATION p",
         superuser=True),
    Case("publication: schema", {"publication p of tables in schema app"},
         "ALTER PUBLICATION p ADD TABLES IN SCHEMA app", "ALTER PUBLICATION p DROP TABLES IN SCHEMA app", _PUBLICATION,
         superuser=True),
]  # fmt: skip

_EVENT_FUNCTION = "CREATE FUNCTION app.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
_EVENT = f"{_EVENT_FUNCTION} CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION app.e()"
_OTHER_SUPERUSER = "CREATE ROLE root SUPERUSER;"


def _event(name: str, change: str, reverse: str, set_up: str = _EVENT) -> Case:
    return Case(f"event trigger{name}", {"event trigger e"}, change, reverse, set_up, superuser=True)


EVENTS = [
    _event("", "CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION app.e()", "DROP EVENT TRIGGER e", _EVENT_FUNCTION),
    _event(": tags", "CREATE EVENT TRIGGER e ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION app.e()",
           "DROP EVENT TRIGGER e", _EVENT_FUNCTION),
    _event(": disabled", "ALTER EVENT TRIGGER e DISABLE", "ALTER EVENT TRIGGER e ENABLE"),
    _event(": owner", "ALTER EVENT TRIGGER e OWNER TO root", "ALTER EVENT TRIGGER e OWNER TO postgres",
           _OTHER_SUPERUSER + _EVENT),
    _event(": comment", "COMMENT ON EVENT TRIGGER e IS 'x'", "COMMENT ON EVENT TRIGGER e IS NULL"),
]  # fmt: skip

_CAST_FUNCTION = f"{_PAIR}; CREATE FUNCTION app.c(app.pair) RETURNS int LANGUAGE sql AS 'SELECT 1';"
_CAST = "CREATE CAST (app.pair AS int) WITH FUNCTION app.c(app.pair)"
_CAST_NAME = {"cast (app.pair AS integer)"}
_SAME = "CREATE FUNCTION app.same(int, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';"
_OPERATOR = f"{_SAME} CREATE OPERATOR app.=== (LEFTARG = int, RIGHTARG = text, FUNCTION = app.same)"
_OPERATOR_NAME = {"operator app.=== (integer, text)"}
_CLASS = (
    "CREATE OPERATOR CLASS app.oc FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)"
)
_CLASS_NAME, _FAMILY_NAME = "operator class app.oc USING btree", "operator family app.oc USING btree"
_FAMILY = "CREATE OPERATOR FAMILY app.oc USING btree"

OPERATORS = [
    Case("cast", _CAST_NAME, _CAST, "DROP CAST (app.pair AS int)", _CAST_FUNCTION),
    Case("cast: context", _CAST_NAME, f"DROP CAST (app.pair AS int); {_CAST} AS IMPLICIT",
         f"DROP CAST (app.pair AS int); {_CAST}", _CAST_FUNCTION + _CAST),
    Case("cast: comment", _CAST_NAME, "COMMENT ON CAST (app.pair AS int) IS 'x'",
         "COMMENT ON CAST (app.pair AS int) IS NULL", _CAST_FUNCTION + _CAST),
    Case("operator", _OPERATOR_NAME, _OPERATOR.removeprefix(_SAME), "DROP OPERATOR app.=== (int, text)", _SAME),
    Case("operator: definition", _OPERATOR_NAME, "ALTER OPERATOR app.=== (int, text) SET (RESTRICT = eqsel)",
         "ALTER OPERATOR app.=== (int, text) SET (RESTRICT = NONE)", _OPERATOR),
    Case("operator: owner", _OPERATOR_NAME, "ALTER OPERATOR app.=== (int, text) OWNER TO other",
         "ALTER OPERATOR app.=== (int, text) OWNER TO collector", _OPERATOR),
    Case("operator: comment", _OPERATOR_NAME, "COMMENT ON OPERATOR app.=== (int, text) IS 'x'",
         "COMMENT ON OPERATOR app.=== (int, text) IS NULL", _OPERATOR),
    Case("operator class", {_CLASS_NAME, _FAMILY_NAME}, _CLASS, "DROP OPERATOR FAMILY app.oc USING btree",
         superuser=True),
    Case("operator class: comment", {_CLASS_NAME}, "COMMENT ON OPERATOR CLASS app.oc USING btree IS 'x'",
         "COMMENT ON OPERATOR CLASS app.oc USING btree IS NULL", _CLASS, superuser=True),
    Case("operator class: owner", {_CLASS_NAME}, "ALTER OPERATOR CLASS app.oc USING btree OWNER TO other",
         "ALTER OPERATOR CLASS app.oc USING btree OWNER TO postgres", _CLASS, superuser=True),
    Case("operator family", {_FAMILY_NAME}, _FAMILY, "DROP OPERATOR FAMILY app.oc USING btree", superuser=True),
    Case("operator family: operators", {_FAMILY_NAME},
         "ALTER OPERATOR FAMILY app.oc USING btree ADD OPERATOR 1 < (int8, int8)",
         "ALTER OPERATOR FAMILY app.oc USING btree DROP OPERATOR 1 (int8, int8)", _FAMILY, superuser=True),
    Case("operator family: functions", {_FAMILY_NAME},
         "ALTER OPERATOR FAMILY app.oc USING btree ADD FUNCTION 1 btint8cmp(int8, int8)",
         "ALTER OPERATOR FAMILY app.oc USING btree DROP FUNCTION 1 (int8, int8)", _FAMILY, superuser=True),
    *owned("collation", "app.c", "CREATE COLLATION app.c (LOCALE = 'C')"),
    Case("collation: definition", {"collation app.c"},
         "DROP COLLATION app.c; CREATE COLLATION app.c (LOCALE = 'POSIX')",
         "DROP COLLATION app.c; CREATE COLLATION app.c (LOCALE = 'C')", "CREATE COLLATION app.c (LOCALE = 'C')"),
]  # fmt: skip

_CONFIGURATION = "CREATE TEXT SEARCH CONFIGURATION app.c (COPY = english)"
_DICTIONARY = "CREATE TEXT SEARCH DICTIONARY app.d (TEMPLATE = simple, ACCEPT = true)"

TEXT_SEARCH = [
    *owned("text search configuration", "app.c", _CONFIGURATION),
    Case("text search configuration: mapping", {"text search configuration app.c"},
         "ALTER TEXT SEARCH CONFIGURATION app.c ALTER MAPPING FOR asciiword WITH english_stem, simple",
         "ALTER TEXT SEARCH CONFIGURATION app.c ALTER MAPPING FOR asciiword WITH english_stem", _CONFIGURATION),
    *owned("text search dictionary", "app.d", _DICTIONARY),
    Case("text search dictionary: options", {"text search dictionary app.d"},
         "ALTER TEXT SEARCH DICTIONARY app.d (ACCEPT = false)", "ALTER TEXT SEARCH DICTIONARY app.d (ACCEPT = true)",
         _DICTIONARY),
    Case("text search parser", {"text search parser app.q"},
         "CREATE TEXT SEARCH PARSER app.q (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,"
         " LEXTYPES = prsd_lextype)", "DROP TEXT SEARCH PARSER app.q", superuser=True),
    Case("text search template", {"text search template app.q"},
         "CREATE TEXT SEARCH TEMPLATE app.q (INIT = dsimple_init, LEXIZE = dsimple_lexize)",
         "DROP TEXT SEARCH TEMPLATE app.q", superuser=True),
]  # fmt: skip

_WRAPPER = "CREATE FOREIGN DATA WRAPPER w;"
_SERVER = _WRAPPER + "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a');"
_FOREIGN = _SERVER + "CREATE FOREIGN TABLE app.x (a int) SERVER s OPTIONS (name 'y')"
_MAPPING = _SERVER + "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (password 'p')"


def _foreign(name: str, changed: str, change: str, reverse: str, set_up: str) -> Case:
    return Case(name, {changed}, change, reverse, set_up, superuser=True)


FOREIGN = [
    _foreign("foreign data wrapper", "foreign data wrapper w", _WRAPPER, "DROP FOREIGN DATA WRAPPER w", ""),
    _foreign("foreign data wrapper: options", "foreign data wrapper w",
             "ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD a 'b')", "ALTER FOREIGN DATA WRAPPER w OPTIONS (DROP a)", _WRAPPER),
    _foreign("foreign data wrapper: privileges", "foreign data wrapper w",
             "GRANT USAGE ON FOREIGN DATA WRAPPER w TO reader", "REVOKE USAGE ON FOREIGN DATA WRAPPER w FROM reader",
             _WRAPPER),
    _foreign("server", "server s", "CREATE SERVER s FOREIGN DATA WRAPPER w", "DROP SERVER s", _WRAPPER),
    _foreign("server: options", "server s", "ALTER SERVER s OPTIONS (SET host 'b')",
             "ALTER SERVER s OPTIONS (SET host 'a')", _SERVER),
    _foreign("server: privileges", "server s", "GRANT USAGE ON FOREIGN SERVER s TO reader",
             "REVOKE USAGE ON FOREIGN SERVER s FROM reader", _SERVER),
    _foreign("server: comment", "server s", "COMMENT ON SERVER s IS 'x'", "COMMENT ON SERVER s IS NULL", _SERVER),
    _foreign("server: owner", "server s", "ALTER SERVER s OWNER TO root", "ALTER SERVER s OWNER TO postgres",
             _OTHER_SUPERUSER + _SERVER),
    _foreign("user mapping", "user mapping of PUBLIC on server s", "CREATE USER MAPPING FOR PUBLIC SERVER s",
             "DROP USER MAPPING FOR PUBLIC SERVER s", _SERVER),
    _foreign("user mapping: options", "user mapping of PUBLIC on server s",
             "ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (ADD name 'n')",
             "ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (DROP name)", _MAPPING),
    _foreign("foreign table: options", "foreign table app.x", "ALTER FOREIGN TABLE app.x OPTIONS (SET name 'z')",
             "ALTER FOREIGN TABLE app.x OPTIONS (SET name 'y')", _FOREIGN),
    _foreign("foreign table: options of a column", "column app.x.a",
             "ALTER FOREIGN TABLE app.x ALTER a OPTIONS (ADD name 'z')",
             "ALTER FOREIGN TABLE app.x ALTER a OPTIONS (DROP name)", _FOREIGN),
]  # fmt: skip

_LARGE = "CREATE EXTENSION lo SCHEMA app"
_LARGE_NAME = {"extension lo"}

DATABASE = [
    Case("extension", _LARGE_NAME, _LARGE, "DROP EXTENSION lo"),
    Case("extension: schema", _LARGE_NAME, "ALTER EXTENSION lo SET SCHEMA public", "ALTER EXTENSION lo SET SCHEMA app",
         _LARGE, superuser=True),
    Case("extension: version", {"extension hstore"}, "ALTER EXTENSION hstore UPDATE TO '1.8'",
         "DROP EXTENSION hstore; CREATE EXTENSION hstore SCHEMA app VERSION '1.4'",
         "CREATE EXTENSION hstore SCHEMA app VERSION '1.4'", superuser=True),
    Case("extension: comment", _LARGE_NAME, "COMMENT ON EXTENSION lo IS 'x'",
         "COMMENT ON EXTENSION lo IS 'Large Object maintenance'", _LARGE),
    Case("extension: privileges on a function", {"function app.lo_manage()"},
         "REVOKE EXECUTE ON FUNCTION app.lo_manage() FROM PUBLIC",
         "GRANT EXECUTE ON FUNCTION app.lo_manage() TO PUBLIC", _LARGE, superuser=True),
    Case("default privileges", {"default privileges of collector on tables"},
         "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader",
         "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM reader"),
    Case("default privileges: withdrawn", {"default privileges of collector on functions"},
         "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
         "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC"),
    Case("default privileges: in a schema", {"default privileges of collector in schema app on sequences"},
         "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON SEQUENCES TO reader",
         "ALTER DEFAULT PRIVILEGES IN SCHEMA app REVOKE USAGE ON SEQUENCES FROM reader"),
]  # fmt: skip

CASES = [*OF_TABLES, *TYPES, *FUNCTIONS, *SEQUENCES, *VIEWS, *PUBLICATIONS, *EVENTS, *OPERATORS, *TEXT_SEARCH,
         *FOREIGN, *DATABASE]  # fmt: skip
