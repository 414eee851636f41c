"""Publications as data: what is published is told by names, and set when all of it is there under them.

Source: PostgreSQL 15 and 18 documentation, "CREATE PUBLICATION", "ALTER PUBLICATION".
"""

from __future__ import annotations

from typing import Any

from backout.databases.postgres.reversible.catalog import own_settings
from backout.databases.postgres.reversible.names import ident, literal
from backout.databases.postgres.reversible.snapshot import Key, Thing
from backout.databases.postgres.reversible.work import Moved, Work

Kept = dict[str, Any]

_KEPT = ("name", "all", "settings", "objects", "owner_name", "comment")


def kept(thing: Thing) -> Kept:
    """Return what is needed to make a publication again. Pure."""
    return {name: thing[name] for name in _KEPT}


def standing(work: Work, oid: int, wanted: Kept, called: str) -> Key:
    """Return the identity of a publication that is as it was kept; one that was made again has another oid.

    Raises:
        Moved: It is not there, or was changed.
    """
    there = [key for key, one in work.now.things.items() if key.kind == "publication"]
    key = Key("publication", oid)
    if key not in there:
        key = next((one for one in there if work.now.things[one]["name"] == wanted["name"]), key)
    if key not in there:
        raise Moved(called, "is not there")
    if kept(work.now.things[key]) != wanted:
        raise Moved(called, "was changed by somebody else since")
    return key


def make(work: Work, wanted: Kept) -> int:
    """Make a publication; return its oid."""
    name = ident(wanted["name"])
    what = " FOR ALL TABLES" if wanted["all"] else ""
    if wanted["objects"]:
        what = f" FOR {', '.join(wanted['objects'])}"
    with own_settings(work.link):
        work.run(f"CREATE PUBLICATION {name}{what} WITH ({_settings(wanted)})")
    _say(work, name, None, wanted)
    made = work.now.things.items()
    return next(key.oid for key, one in made if key.kind == "publication" and one["name"] == wanted["name"])


def change(work: Work, now: Kept, wanted: Kept) -> None:
    """Make another of a publication, which goes on being the same one to who follows it."""
    name = ident(wanted["name"])
    if now["name"] != wanted["name"]:
        work.run(f"ALTER PUBLICATION {ident(now['name'])} RENAME TO {name}")
    if now["settings"] != wanted["settings"]:
        work.run(f"ALTER PUBLICATION {name} SET ({_settings(wanted)})")
    if now["objects"] != wanted["objects"]:
        with own_settings(work.link):
            if wanted["objects"]:
                work.run(f"ALTER PUBLICATION {name} SET {', '.join(wanted['objects'])}")
            else:
                dropped = ", ".join(one.partition(" (")[0] for one in now["objects"])
                work.run(f"ALTER PUBLICATION {name} DROP {dropped}")
    _say(work, name, now, wanted)


def _say(work: Work, name: str, now: Kept | None, wanted: Kept) -> None:
    if now is None or now["owner_name"] != wanted["owner_name"]:
        work.run(f"ALTER PUBLICATION {name} OWNER TO {ident(wanted['owner_name'])}")
    if (now or {}).get("comment") != wanted["comment"]:
        work.run(f"COMMENT ON PUBLICATION {name} IS {literal(wanted['comment'])}")


def _settings(wanted: Kept) -> str:
    return ", ".join(f"{name} = {literal(value)}" for name, value in wanted["settings"].items())
