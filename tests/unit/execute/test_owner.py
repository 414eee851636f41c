"""Which process owns a lease: dead only for somebody who can tell."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from backout.execute.owner import Owner, host_of, is_dead, this_process

ASK = "from backout.execute.owner import *; import sys; print(this_process(), is_dead(sys.argv[1]))"
APART = ("unshare", "--pid", "--fork", "--mount-proc")


def me() -> Owner:
    return Owner(*this_process().split(":"))


def named(**changes: str) -> str:
    return ":".join(me()._replace(**changes))


def ended() -> Owner:
    """Return a process of this machine that ended just now."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, "x"], capture_output=True, text=True, check=True
    ).stdout.split()
    return Owner(*done[0].split(":"))


def test_a_process_that_is_there_is_not_dead() -> None:
    assert "-" not in me()[1:]
    assert not is_dead(this_process())


def test_a_process_that_ended_is_dead() -> None:
    assert is_dead(":".join(ended()))


def test_a_process_that_was_not_waited_for_is_dead() -> None:
    argv = [sys.executable, "-c", ASK, "x"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        process = child.stdout.read().split()[0]
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # It ended, and stays a zombie.
        assert is_dead(process)


def test_a_number_that_was_given_to_another_process_is_dead() -> None:
    assert is_dead(named(start=str(int(me().start) - 1)))


@pytest.mark.parametrize("unlike", ["host", "boot", "spaces"])
def test_what_ran_elsewhere_cannot_be_told(unlike: str) -> None:
    gone = ended()._asdict() | {unlike: "another"}
    assert not is_dead(":".join(gone.values()))
    assert not is_dead(":".join((gone | {unlike: "-"}).values()))


def test_a_start_that_nobody_wrote_down_says_nothing_of_a_number_that_is_in_use() -> None:
    assert not is_dead(named(start="-"))


@pytest.mark.parametrize("process", ["{host}:{pid}:1.00", "boot:1:1", "", "x", "a:b:c:d:e"])
def test_leases_of_earlier_versions_and_rubbish_are_not_dead(process: str) -> None:
    assert not is_dead(process.format(host=me().host, pid=ended().pid))


def test_the_machine_is_read_from_leases_of_every_version() -> None:
    assert host_of(this_process()) == host_of(f"{me().host}:17:1.00") == me().host


def test_two_containers_with_one_host_name_do_not_take_each_other_for_dead() -> None:
    tried = subprocess.run([*APART, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no namespaces here: {tried.stderr.strip()}")
    argv = [*APART, sys.executable, "-c", ASK, this_process()]
    theirs, mine_is_dead = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert mine_is_dead == "False"
    assert (Owner(*theirs.split(":")).host, Owner(*theirs.split(":")).boot) == (me().host, me().boot)
    assert not is_dead(theirs), "it ended, and nobody outside can tell by its number"
