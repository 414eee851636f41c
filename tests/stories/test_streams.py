"""Where output goes: closed, full or old-fashioned streams, files that cannot be written, words that are no text."""

import json
import os
import subprocess
import sys

import pytest
from tests.command_line import Terminal

pytestmark = pytest.mark.slow
OLD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def shell(tiny, redirected, *words, env=None):
    """Run backout with redirections of a shell."""
    directory, cli = tiny
    return subprocess.run(
        ["sh", "-c", f'"$0" -m backout "$@" {redirected}', sys.executable, *words],
        cwd=directory,
        env={**cli.environ, **(env or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=90,
        check=False,
    )


def running(tiny):
    return (tiny[0] / "running").read_text().strip()


def test_results_and_progress_go_apart_and_progress_is_live_on_a_terminal_alone(tiny):
    directory, cli = tiny
    done = cli("run", "--yes").ended(9)
    progress, result = "✓ 03  Bring 1.0", "Done, not proven yet: Take tiny in production back: 2.0 → 1.0"
    assert progress in done.err and progress not in done.out
    assert result in done.out and result not in done.err
    assert "\x1b" not in done.everything and "\r" not in done.everything
    (directory / "running").write_text("2.0\n")
    terminal = Terminal(cli, "run", "--to", "1.0", "--yes")
    assert terminal.end() == 9, terminal.text
    assert progress in terminal.text and result in terminal.text
    begun, erased = "⠋ 03  Bring 1.0", "\x1b[2K"
    assert terminal.text.index(begun) < terminal.text.index(erased, terminal.text.index(begun))
    assert terminal.text.index(begun) < terminal.text.index(progress)


def test_an_old_encoding_loses_no_line(tiny):
    _, cli = tiny
    told = shell(tiny, "", env={"PYTHONIOENCODING": "latin-1"})
    assert "? backout run --to 1.0" in told.stdout
    listed = cli("plan", "--json", env={"PYTHONIOENCODING": "ascii"}).out
    assert json.loads(listed)["plan"]["to_version"] == "1.0"


def test_files_are_utf_8_whatever_the_locale_is(tiny):
    directory, cli = tiny
    cli("run", "--yes", "--reason", "zurück")
    cli("report", "-o", "report.md", env=OLD_LOCALE).ended(0)
    assert "zurück" in (directory / "report.md").read_text(encoding="utf-8")


def test_a_plan_is_utf_8_whatever_the_locale_is(tiny):
    directory, cli = tiny
    config = directory / "backout.yaml"
    config.write_text(config.read_text().replace('"{version}"', '"{version}", "für"'), encoding="utf-8")
    cli("plan", "-o", "plan.json", env=OLD_LOCALE).ended(0)
    assert "für" in (directory / "plan.json").read_text(encoding="utf-8")
    assert cli("run", "plan.json", "--yes", env=OLD_LOCALE).code in (0, 9)


@pytest.mark.parametrize("words", [("plan",), ("releases", "--json"), ()])
def test_a_result_that_could_not_be_written_is_no_success(tiny, words):
    done = shell(tiny, ">/dev/full", *words)
    assert done.returncode == 3, done.stderr
    assert "The result could not be written: No space left on device." in done.stderr
    assert "next" in done.stderr


def test_a_reader_that_went_away_is_no_error(tiny):
    done = shell(tiny, "| true", "releases")
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_full_screen_does_not_change_how_a_run_ended(tiny):
    done = shell(tiny, ">/dev/full", "run", "--yes")
    assert done.returncode in (0, 9), done.stderr
    assert "the journal has it: backout report run-" in done.stderr
    assert running(tiny) == "1.0"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_a_closed_stream_stops_no_way_back(tiny, closed):
    assert shell(tiny, closed).returncode == 0
    assert shell(tiny, closed, "--version").returncode == 0
    assert shell(tiny, closed, "plan", "-o", "plan.json").returncode == 0
    done = shell(tiny, closed, "run", "plan.json", "--yes")
    assert done.returncode in (0, 9), done.stderr
    assert running(tiny) == "1.0"
    assert shell(tiny, closed, "history", "--verify").returncode == 0


@pytest.mark.parametrize("file", ["nowhere/plan.json", ".", "/dev/full"])
def test_a_file_that_cannot_be_written(tiny, file):
    directory, cli = tiny
    before = sorted(directory.iterdir())
    for verb in ("plan", "run"):
        what = "cannot be written: " if verb == "plan" else "cannot be used: "
        words = ("plan", "-o", file) if verb == "plan" else ("run", file, "--yes")
        if (verb, file) != ("run", "/dev/full"):
            done = cli(*words).refused(
                2, what=what, now="Nothing was changed", next="^(ls -ld|backout plan -o)"
            )
            assert verb == "plan" or done.error["next"] == "backout plan -o plan.json"
    assert sorted(directory.iterdir()) == before
    cli("run", "--yes")
    cli("report", "-o", file).refused(
        2, what="cannot be written: ", now="Nothing was changed", next="^ls -ld"
    )


def test_a_file_that_stood_there_is_replaced_whole_and_a_device_is_written_to(tiny):
    directory, cli = tiny
    (directory / "plan.json").write_text("old")
    cli("plan", "-o", "plan.json").ended(0)
    assert json.loads((directory / "plan.json").read_text())["digest"]
    assert json.loads(cli("plan", "--format", "json").out)["digest"]
    cli("plan", "-o", "/dev/null").ended(0)


def test_a_word_that_is_no_text_is_refused(tiny):
    _, cli = tiny
    cli("plan", "--to", os.fsdecode(b"\xff")).refused(
        2, what=r"to: .*is not valid UTF-8", now="Nothing was changed", next="locale"
    )
    error = json.loads(cli("plan", "--to", os.fsdecode(b"\xff"), "--json").ended(2).out)["error"]
    assert error["code"] == "usage-error"


def test_a_binary_file_is_no_plan(tiny):
    directory, cli = tiny
    (directory / "plan.json").write_bytes(b"\x80\x81\x82")
    cli("run", "plan.json", "--yes").refused(
        2, what=r"it is not a plan of this version of backout", now="Nothing was changed", next="plan.json"
    )
