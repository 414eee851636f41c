"""The state file: corrupt, cut short, of the future, read-only; and a journal that somebody changed."""

import re
import sqlite3
from contextlib import closing

import pytest

from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow
VERBS = [
    ("plan",),
    ("run", "--yes"),
    ("status",),
    ("history",),
    ("resume",),
    ("releases",),
    ("record",),
    (),
]


def drop_wal(scene):
    for name in ("state.db-wal", "state.db-shm"):
        scene.state_file.with_name(name).unlink(missing_ok=True)


def garbage(scene):
    drop_wal(scene)
    scene.state_file.write_bytes(b"\x00garbage" * 4096)


def emptied(scene):
    drop_wal(scene)
    scene.state_file.write_bytes(b"")


def cut_short(scene):
    with closing(sqlite3.connect(scene.state_file)) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    drop_wal(scene)
    whole = scene.state_file.read_bytes()
    scene.state_file.write_bytes(whole[: len(whole) // 2 + 100])


@pytest.mark.parametrize("harm", [garbage, cut_short, emptied])
def test_a_state_file_that_is_damaged(scene, harm):
    before = scene.state()
    harm(scene)
    for verb in VERBS:
        done = scene.cli(*verb)
        done.refused(
            3,
            what=r"state\.db cannot be used: ",
            now="Nothing was changed.*records are kept at the target.*backout hold and a code rollback work without",
            next=r"^mv .*state\.db .*state\.db\.damaged && backout .*--emergency",
        )
    assert "FAIL  state file" in scene.cli("doctor").ended(3).out
    assert scene.state() == before
    # The command that was told works: what is kept at the target is found again.
    move = done.error["next"].split(" && ")[0].split()
    assert move[0] == "mv"
    scene.state_file.rename(move[2])
    drop_wal(scene)
    overview = scene.cli("--json").ended(0).json
    assert (overview["previous"]["version"], overview["previous"]["state"]) == (GOOD, "good")
    plan = scene.cli("plan")
    assert plan.code in (0, 4), plan.everything
    scene.cli("run", "--yes", *(["--accept", "schema-unknown"] if plan.code else [])).ended(0)
    scene.finished_well()


def test_a_state_file_of_a_newer_backout(looks):
    with closing(sqlite3.connect(looks.state_file)) as sql:
        sql.execute("PRAGMA user_version = 99")
    try:
        for verb in VERBS:
            looks.cli(*verb).refused(
                3,
                what=r"state\.db has format 99; this backout knows up to \d+",
                now="Nothing was read or changed",
                next="^pip install --upgrade backout$",
            )
        assert "FAIL  state file" in looks.cli("doctor").ended(3).out
    finally:
        with closing(sqlite3.connect(looks.state_file)) as sql:
            sql.execute("PRAGMA user_version = 1")


def test_a_state_folder_that_cannot_be_made(looks):
    with looks.configured(lambda c: c + "\nstate: /proc/nowhere\n"):
        for verb in (("plan",), ("run", "--yes"), ("history",)):
            looks.cli(*verb).refused(
                3,
                what="/proc/nowhere/state.db cannot be used: .*",
                now="Nothing was changed",
                next="^ls -la /proc .*--emergency",
            )


@pytest.mark.parametrize("harm", [garbage, emptied])
def test_the_harm_is_stopped_without_a_state_file(scene, harm):
    before = scene.state()
    harm(scene)
    done = scene.cli("hold", "--yes", "--reason", "orders are charged twice").ended(0)
    assert re.search(r"state\.db cannot be used: .*This is journalled in \S+, and merged by", done.err)
    assert (scene.state()["front"], scene.state()["takes_writes"]) == ("maintenance", False)
    scene.cli("release-hold").ended(0)
    assert scene.state() == before
    scene.cli("hold", "--yes").ended(0)
    # Once there is a state file again, it has all of that.
    scene.state_file.unlink()
    drop_wal(scene)
    runs = scene.cli("history", "--json").ended(0).json["runs"]
    assert sorted(run["plan"]["purpose"] for run in runs) == ["hold", "hold", "release_hold"]
    assert "charged twice" in str(runs)
    assert not [f for f in (scene.stage.directory / "xdg").rglob("state.db") if ".merged" not in str(f)]
    scene.cli("history", "--verify").ended(0)
    scene.cli("release-hold").ended(0)
    assert scene.state() == before


@pytest.mark.parametrize("verb", ["history", "releases"])
def test_a_list_of_absurd_length(looks, verb):
    done = looks.cli(verb, "-n", "99999999999999999999999")
    assert done.code == 2, done.everything
    assert "1000000" in done.err


def test_doctor_touches_nothing(looks, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    text = looks.stage.config.read_text().replace("root: srv", f"root: {looks.stage.directory}/srv")
    (folder / "backout.yaml").write_text(text)
    told = looks.cli("doctor", cwd=folder)
    assert told.code in (0, 3), told.everything
    assert re.search(r"ok    state file: \S+/new/\.backout/state\.db is not there yet", told.out), told.out
    assert [f.name for f in folder.iterdir()] == ["backout.yaml"]
    before = [(f.name, f.stat().st_mtime_ns) for f in sorted(looks.state_file.parent.iterdir())]
    assert re.search(r"ok    state file: .*is whole \(\d+ events\)", looks.cli("doctor").out)
    assert [(f.name, f.stat().st_mtime_ns) for f in sorted(looks.state_file.parent.iterdir())] == before


def changed(sql):
    sql.execute("UPDATE events SET body = replace(body, '5.3.0', '5.3.9') WHERE seq = 1")
    return 1


def removed(sql):
    sql.execute("DELETE FROM events WHERE seq = 2")
    return 2


def inserted(sql):
    (last,) = sql.execute("SELECT max(seq) FROM events").fetchone()
    sql.execute(
        "INSERT INTO events SELECT seq + 1, at, run, actor, generation, kind, body, digest, digest FROM events WHERE seq = ?",
        (last,),
    )
    return last + 1


def end_cut_off(sql):
    (last,) = sql.execute("SELECT max(seq) FROM events").fetchone()
    sql.execute("DELETE FROM events WHERE seq > ?", (last - 3,))
    return last - 2


def actor_changed(sql):
    sql.execute("UPDATE events SET actor = 'nobody@nowhere' WHERE seq = 3")
    return 3


def not_json(sql):
    sql.execute("UPDATE events SET body = '{' WHERE seq = 2")
    return 2


@pytest.fixture(scope="module")
def ran(shared):
    shared.cli("run", "--yes").ended(0)
    with closing(sqlite3.connect(shared.state_file)) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = shared.state_file.read_bytes()
    yield shared, whole
    shared.stage.reset()


@pytest.mark.parametrize("harm", [changed, removed, inserted, end_cut_off, actor_changed, not_json])
def test_a_journal_that_was_tampered_with(ran, harm):
    scene, whole = ran
    assert "The journal is whole" in scene.cli("history", "--verify").ended(0).out
    with closing(sqlite3.connect(scene.state_file)) as sql, sql:
        seq = harm(sql)
    try:
        done = scene.cli("history", "--verify")
        done.refused(
            7,
            what=rf"state\.db was changed from event {seq} on",
            now=f"Events before {seq} are as they were written",
            next=r"^cp .*state\.db .*evidence",
        )
        assert "journal" in scene.cli("doctor").ended(3).out
    finally:
        drop_wal(scene)
        scene.state_file.write_bytes(whole)
