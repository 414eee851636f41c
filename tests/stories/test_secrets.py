"""No secret leaves: not in an output, a file of backout's, or the list of processes."""

import os
import re

import psutil
import pytest

from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow
TOKEN = "tok-9f8e7d6c5b4a-payment"


@pytest.fixture
def secrets(scene):
    """The database's password, and a value of the service's env file, which the service itself writes to its log."""
    env = scene.stage.root / "shared" / "env"
    before = env.read_text()
    env.write_text(before + f"PAYMENT_TOKEN={TOKEN}\n")
    password = re.search(r"://[^:]+:([^@]+)@", scene.stage.database_url)[1]
    yield password, TOKEN
    env.write_text(before)


def files_of_backout(scene):
    """Every file below the stage but the environment itself, the service's own log, and the releases."""
    for folder in (scene.stage.directory, *(scene.stage.directory.glob("xdg/**"))):
        for file in folder.rglob("*"):
            own = file.relative_to(scene.stage.directory).as_posix()
            if file.is_file() and not own.startswith(
                ("postgres/", "srv/collector/shared/", "run/", "builds/", "snapshot/")
            ):
                yield own, file.read_bytes()


def test_no_secret_is_shown_or_kept(scene, secrets):
    shown = {}

    def say(*words, codes=(0,)):
        done = scene.cli(*words)
        assert done.code in codes, done.everything
        shown[" ".join(map(str, words))] = done.everything
        return done

    # A start that fails, and prints both secrets to its log, whose last lines are in the message.
    with scene.start_that_hangs(GOOD, patience_s=1.5) as hang:
        script = scene.stage.directory / "bin" / "start"
        script.write_text(
            script.read_text().replace(
                "waiting for the licence server", "cannot pay with $PAYMENT_TOKEN at $DATABASE_URL"
            )
        )
        say("plan", "-o", "plan.json")
        say("plan", "--format", "md")
        say("plan", "--json")
        process = scene.cli.start("run", "plan.json", "--yes", "--reason", "secrets")
        scene.at_step("process.start")
        listed = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        failed = scene.cli.finish(process).ended(5)
        assert "cannot pay with *** at" in failed.err
        shown["run"] = failed.everything
        say("status", codes=(5,))
        say("status", "--json", codes=(5,))
        say("report")
        hang.unlink()
        scene.end_hanging()
        say("resume")
    for verb in (
        (),
        ("--json",),
        ("doctor",),
        ("doctor", "--json"),
        ("releases", "--json"),
        ("history", "--verify"),
        ("history", "--json"),
        ("verify", "--json"),
        ("record", "--json"),
    ):
        say(*verb, codes=(0, 3))
    for format_ in ("md", "html", "json"):
        say("report", "--format", format_)
        say("report", "--format", format_, "-o", f"report.{format_}")
    say("hold", "--yes")
    say("release-hold")
    for secret in secrets:
        assert [words for words, text in shown.items() if secret in text] == []
        assert [line for line in listed if secret in line] == []
        assert [name for name, content in files_of_backout(scene) if secret.encode() in content] == []
    looked_at = [name for name, _ in files_of_backout(scene)]
    assert {".backout/state.db", "plan.json", "report.html", "srv/collector/.backout/lease.json"} <= set(
        looked_at
    ), looked_at


def test_no_secret_in_the_message_of_a_bug(scene, secrets, tmp_path):
    """An error that nobody thought of, with the password in its text and in its variables."""
    # sitecustomize is imported by every Python: it breaks the adapter from outside, as a broken library would.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "import psycopg\n"
        "def connect(conninfo='', **more):\n"
        "    raise ZeroDivisionError(f'cannot divide {conninfo}')\n"
        "psycopg.connect = connect\n"
    )
    path = os.pathsep.join([str(tmp_path), scene.environ().get("PYTHONPATH", "")])
    for verb in (
        (),
        ("plan",),
        ("doctor",),
        ("run", "--accept", "schema-unknown", "--yes"),
        ("hold", "--yes"),
    ):
        done = scene.cli(*verb, env={"PYTHONPATH": path})
        for secret in secrets:
            assert secret not in done.everything
    for secret in secrets:
        assert [name for name, content in files_of_backout(scene) if secret.encode() in content] == []


def test_a_wrong_configuration_does_not_show_what_is_in_it(looks, secrets):
    password, _ = secrets
    with looks.configured(
        lambda c: c.replace("${DATABASE_URL}", looks.stage.database_url + "\n  nonsense: 1")
    ):
        done = looks.cli("plan")
        assert done.code == 2
        assert password not in done.everything
