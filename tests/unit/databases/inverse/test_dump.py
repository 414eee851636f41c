"""The plain text of a dump is taken apart by its heads; what belongs to the next thing is not given to the one before."""

from __future__ import annotations

from backout.databases.postgres.inverse.dump import entries_of

_DUMP = r"""--
-- PostgreSQL database dump
--

\restrict abc

SET check_function_bodies = false;

--
-- TOC entry 6 (class 2615 OID 16395)
-- Name: s; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA s;


SET default_tablespace = elsewhere;

SET default_table_access_method = heap;

--
-- TOC entry 219 (class 1259 OID 16414)
-- Name: t; Type: TABLE; Schema: public; Owner: -; Tablespace: elsewhere
--

CREATE TABLE public.t (
    id integer
);


SET default_tablespace = '';

--
-- TOC entry 3406 (class 0 OID 0)
-- Dependencies: 217
-- Name: q; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.q OWNED BY public.t.id;


--
-- TOC entry 3246 (class 1259 OID 16444)
-- Name: i; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX i ON public.t USING btree (id);

ALTER TABLE public.t CLUSTER ON i;


-- Completed on 2026-11-28 19:07:21 UTC

--
-- PostgreSQL database dump complete
--

\unrestrict abc
"""


def test_each_thing_has_its_own_text_and_its_own_tablespace() -> None:
    schema, table, owned, index = entries_of(_DUMP)
    assert (schema.catalog, schema.oid, schema.kind, schema.text) == (
        2615,
        16395,
        "SCHEMA",
        "CREATE SCHEMA s;",
    )
    assert table.text == (
        "SET LOCAL default_tablespace = elsewhere;\nCREATE TABLE public.t (\n    id integer\n);\n"
        "SET LOCAL default_tablespace = '';"
    )
    assert (owned.catalog, owned.text) == (0, "ALTER SEQUENCE public.q OWNED BY public.t.id;")
    assert index.text == "CREATE INDEX i ON public.t USING btree (id);"


def test_an_empty_database_has_nothing() -> None:
    assert entries_of("--\n-- PostgreSQL database dump\n--\n\n-- Completed on 2026\n") == []
