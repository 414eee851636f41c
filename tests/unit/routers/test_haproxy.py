"""What HAProxy says, and what weights make shares; as read from HAProxy 2.6.12."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from backout.errors import StepFailed, TargetUnreachable
from backout.observed import Answer
from backout.routers.haproxy.configured import read_by
from backout.routers.haproxy.kept import obstacle, owner_lost, same, write
from backout.routers.haproxy.note import Before, Note
from backout.routers.haproxy.options import HaproxyOptions
from backout.routers.haproxy.repair import taken_out
from backout.routers.haproxy.runtime import Runtime
from backout.routers.haproxy.servers import Server, healthy, is_held, parsed, shares_of, weights_for

STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 app 1 blue1 127.0.0.1 2 0 37 100 6 15 3 4 6 0 0 0 - 18081 - 0 0 - - 0
3 app 2 green1 127.0.0.1 0 5 0 100 2 15 3 0 14 0 0 0 - 18082 - 0 0 - - 0
4 other 1 blue1 127.0.0.1 2 8 9 100 2 15 3 0 14 0 0 0 - 18082 - 0 0 - - 0

"""
STAT = """# pxname,svname,qcur,qmax,scur,smax,status,check_status,
app,blue1,1,0,3,9,UP,L7OK,
app,green1,0,0,0,9,MAINT,,
app,BACKEND,0,0,3,9,UP,,
other,blue1,0,0,5,9,DRAIN,L4OK,
"""


def server(
    weight: int, *, shut: bool = False, drains: bool = False, up: bool | None = True, follows: bool = False
) -> Server:
    return Server("s", weight, shut, drains, up, 0, follows=follows)


def test_servers_of_one_backend_are_read_and_no_others():
    assert parsed(STATE, STAT, "app") == {
        "blue1": Server(
            "blue1", 37, shut=False, drains=False, up=True, inside=4, address=("127.0.0.1", 18081)
        ),
        "green1": Server(
            "green1", 0, shut=True, drains=False, up=None, inside=0, address=("127.0.0.1", 18082)
        ),
    }
    assert parsed(STATE, STAT, "other")["blue1"] == Server(
        "blue1", 9, shut=False, drains=True, up=True, inside=5, address=("127.0.0.1", 18082)
    )


def test_who_is_taken_to_be_up_before_a_check_has_come_back_is_not_known_to_be():
    found = parsed(STATE, STAT.replace(",UP,L7OK", ",UP 1/3,L7OK"), "app")["blue1"]
    assert (found.up, found.settles) == (None, True)


@pytest.mark.parametrize(
    "words", ["", "No such backend.\n", "Permission denied\n", "2\n# be_id be_name\n", "1\n"]
)
def test_what_is_no_list_of_servers_is_none(words):
    with pytest.raises((ValueError, IndexError)):
        parsed(words, STAT, "app")


@pytest.mark.parametrize("others", range(1, 9))
@pytest.mark.parametrize("own", range(1, 9))
def test_weights_make_the_shares_that_are_told(own, others):
    sides = {"blue": [f"b{n}" for n in range(own)], "green": [f"g{n}" for n in range(others)]}
    for share in range(101):
        shares = {"blue": 100 - share, "green": share}
        try:
            weights = weights_for(sides, shares)
        except ValueError as error:
            assert "no weights of" in str(error) and 0 < share < 100
            continue
        assert all(0 <= weight <= 256 for weight in weights.values())
        assert (
            shares_of(sides, {one: server(weight, shut=not weight) for one, weight in weights.items()})
            == shares
        )


def test_shares_of_nobody_are_made_by_no_weights():
    with pytest.raises(ValueError, match="no side would get requests"):
        weights_for({"blue": ["b"], "green": ["g"]}, {"blue": 0, "green": 0})


def test_who_is_shut_or_drains_has_no_share_unless_all_are_held():
    sides = {"blue": ["b"], "green": ["g"]}
    assert shares_of(sides, {"b": server(5), "g": server(5, drains=True)}) == {"blue": 100, "green": 0}
    assert shares_of(sides, {"b": server(5), "g": server(5, shut=True)}) == {"blue": 100, "green": 0}
    held = {"b": server(1, shut=True), "g": server(3, shut=True)}
    assert is_held(held) and shares_of(sides, held) == {"blue": 25, "green": 75}
    none = {"b": server(0, shut=True), "g": server(0, shut=True)}
    assert not is_held(none) and shares_of(sides, none) == {"blue": 0, "green": 0}


def test_three_sides_are_a_hundred_together():
    assert shares_of({"a": ["a"], "b": ["b"], "c": ["c"]}, dict.fromkeys("abc", server(7))) == {
        "a": 34,
        "b": 33,
        "c": 33,
    }


def test_who_gets_few_requests_has_a_share():
    sides = {"blue": ["b"], "green": ["g"]}
    assert shares_of(sides, {"b": server(1), "g": server(256)}) == {"blue": 1, "green": 99}
    assert shares_of(sides, {"b": server(256), "g": server(1)}) == {"blue": 99, "green": 1}
    few = {"a": server(1), "b": server(1), "c": server(256)}
    assert shares_of({"a": ["a"], "b": ["b"], "c": ["c"]}, few) == {"a": 1, "b": 1, "c": 98}


def test_a_side_with_one_server_that_is_up_can_answer():
    assert healthy([server(1, up=False), server(1)]) is Answer.YES
    assert healthy([server(1, up=False), server(1, up=None)]) is Answer.UNKNOWN
    assert healthy([server(1, up=False)]) is Answer.NO


def test_a_state_file_says_the_same_by_weights_and_maintenance(tmp_path):
    path = tmp_path / "state"
    path.write_text(STATE)
    assert same(path, STATE.replace("37 100 6 15", "37 100 999 15"), "app")
    assert not same(path, STATE.replace(" 37 ", " 38 "), "app")
    assert same(path, STATE.replace(" 8 9 ", " 0 9 "), "app")


REPAIR = {"blue": ("b1", "b2"), "green": ("g",)}
OPEN, OFF, SHUT = server(100), server(0, shut=True), server(100, shut=True)


@pytest.mark.parametrize(
    ("b1", "b2", "green", "out"),
    [
        (OPEN, OPEN, OFF, set()),
        (OPEN, SHUT, OFF, {"b2"}),
        # One of a side that is off was let in, as for a try: the others are no less fit.
        (OPEN, OFF, OFF, set()),
        (OPEN, server(0), OFF, {"b2"}),
        (OPEN, server(9, drains=True), OPEN, {"b2"}),
        # A side that is off as a whole is off, by backout or by a person.
        (OFF, OFF, OPEN, set()),
        (SHUT, SHUT, OPEN, set()),
        (server(0), server(0), OPEN, set()),
        (OFF, SHUT, OPEN, {"b2"}),
        (OFF, server(0, shut=True, follows=True), OPEN, {"b2"}),
        # All is held: the note tells.
        (SHUT, OFF, OFF, {"b1"}),
        (OFF, OFF, SHUT, {"b1"}),
    ],
)
def test_who_was_taken_out_is_told_from_who_is_off_with_its_side(b1, b2, green, out):
    assert taken_out(REPAIR, {"b1": b1, "b2": b2, "g": green}, noted={"b1"}) == out


def test_a_note_of_rubbish_is_none(tmp_path):
    note = Note(tmp_path / "state" / "note.json")
    assert note.read() == {}
    before = {"b2": Before(weight=7, state="maint", out=True)}
    note.write(before)
    assert note.read() == before
    for rubbish in ("", "[]", '{"b2": 1}', '{"b2": {"weight": "x"}}', "\x00"):
        (tmp_path / "state" / "note.json").write_text(rubbish)
        assert note.read() == {}
    note.write({})
    assert not (tmp_path / "state" / "note.json").exists()
    (tmp_path / "file").write_text("")
    Note(tmp_path / "file" / "note.json").write(before)


APP = "\n".join(line for line in STATE.splitlines() if " other " not in line) + "\n\n"


def test_a_state_file_keeps_the_lines_of_other_backends_a_link_and_the_mode(tmp_path):
    target, link = tmp_path / "elsewhere" / "state", tmp_path / "state"
    target.parent.mkdir()
    link.symlink_to(target)
    write(link, APP, "app")
    assert (link.is_symlink(), target.stat().st_mode & 0o777, same(link, APP, "app")) == (True, 0o644, True)
    target.write_text(STATE.replace(" 8 9 ", " 1 3 "))
    target.chmod(0o660)
    write(link, APP.replace(" 37 ", " 38 "), "app")
    assert link.is_symlink() and target.stat().st_mode & 0o777 == 0o660
    assert same(link, APP.replace(" 37 ", " 38 "), "app")
    assert same(link, STATE.replace(" 8 9 ", " 1 3 "), "other")
    assert target.read_text().splitlines()[0] == "1" and "\n\n" not in target.read_text()
    assert [one.name for one in target.parent.iterdir()] == ["state"]


def test_a_state_file_that_cannot_be_given_back_to_its_owner_is_written_all_the_same(tmp_path, monkeypatch):
    """As the kernel has it for a user who is not root: tests may run as root, who may."""
    path = tmp_path / "state"
    path.write_text("1\n")
    path.chmod(0o664)
    real, found = os.stat, path.stat()
    others = os.stat_result((*found[:4], found.st_uid + 1, found.st_gid + 1, *found[6:]))
    monkeypatch.setattr(Path, "stat", lambda self, **_: others if self.name == "state" else real(self))
    asked = []

    def refuses(_fd, uid, gid):
        asked.append((uid, gid))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuses)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert owner_lost(path)
    write(path, APP, "app")
    assert asked == [(others.st_uid, others.st_gid), (-1, others.st_gid)]
    assert same(path, APP, "app") and real(path).st_mode & 0o777 == 0o664


def test_what_cannot_be_written_is_known_before(tmp_path):
    path = tmp_path / "state"
    assert obstacle(path) is None and list(tmp_path.iterdir()) == []
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")
    assert "no server state file" in obstacle(path)
    with pytest.raises(StepFailed, match="no server state file"):
        write(path, APP, "app")
    assert path.read_text().startswith("root:")
    assert "there is no folder" in obstacle(tmp_path / "nowhere" / "state")
    (tmp_path / "folder").mkdir()
    assert "directory" in obstacle(tmp_path / "folder")


GLOBAL = "global\n    server-state-file /var/state   # kept\n"
LOADS = "    load-server-state-from-file"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"{GLOBAL}backend app\n{LOADS} global\n", "/var/state"),
        (f"{GLOBAL}backend app\n", None),
        (f"{GLOBAL}backend app\n{LOADS} none\nbackend other\n{LOADS} global\n", None),
        (f"{GLOBAL}backend app\n#{LOADS} global\n", None),
        (f"{GLOBAL}defaults\n{LOADS} global\nbackend app\n", "/var/state"),
        (f"{GLOBAL}defaults\n{LOADS} global\ndefaults\nbackend app\n", None),
        (f"{GLOBAL}defaults one\n{LOADS} global\ndefaults two\nbackend app from one\n", "/var/state"),
        (f"{GLOBAL}defaults\n{LOADS} global\nlisten app\n{LOADS} none\n", None),
        (f"backend app\n{LOADS} global\n", None),
        (f'global\n server-state-file "s t"\n server-state-base /b\nbackend app\n{LOADS} global\n', "/b/s t"),
        (f"global\n server-state-file s\nbackend app\n{LOADS} global\n", "/cwd/s"),
        (f"global\n server-state-base /b\nbackend app\n{LOADS} local\n", "/b/app"),
        (f"backend app\n{LOADS} local\n server-state-file-name x\n", "/cwd/x"),
    ],
)
def test_which_file_a_backend_is_read_from(text, path):
    assert read_by(text, "app", Path("/cwd")) == (path and Path(path))


@pytest.mark.parametrize(
    "text",
    [
        "", "\x00\n'", "backend other\n",
        f".if defined(X)\nbackend app\n.endif\n{LOADS} global\n",
        f"global\n server-state-file $STATE\nbackend app\n{LOADS} global\n",
        f"backend app\n{LOADS} 'global\n",
    ],
)  # fmt: skip
def test_what_a_configuration_does_not_say_clearly_is_not_guessed(text):
    with pytest.raises(ValueError, match=r"."):
        read_by(text, "app", Path("/cwd"))


@pytest.mark.parametrize(
    ("sides", "why"),
    [
        ({"blue": ["a"], "green": ["a"]}, "server a is on two sides"),
        ({"blue": ["a"], "green": []}, "side green has no server"),
        ({"blue": ["a"]}, "two sides at least"),
        ({"blue": ["a; shutdown sessions server b"], "green": ["b"]}, "without blanks"),
    ],
)
def test_sides_that_cannot_be_are_told(sides, why):
    with pytest.raises(ValidationError, match=why):
        HaproxyOptions.model_validate({"socket": "s", "backend": "app", "sides": sides})


@contextmanager
def answering(words: bytes) -> Iterator[Runtime]:
    """Give a runtime API that answers one command so, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(words)

        thread = threading.Thread(target=answer)
        thread.start()
        yield Runtime(f"127.0.0.1:{listener.getsockname()[1]}", 5.0, "echo 'show info' | socat …")
        thread.join(5)


@pytest.mark.parametrize("words", [b"", b"1\n# be_id be_name\n3 ap", b"1\n# be_id be_name\n3 app 1 blue1\n"])
def test_an_answer_that_was_cut_off_is_none(words):
    with answering(words) as runtime, pytest.raises(TargetUnreachable, match="ends too early") as caught:
        runtime.order("set server app/blue1 weight 1")
    assert "not known" in str(caught.value.state) and caught.value.next_command


def test_where_nobody_listens_nothing_was_changed_and_that_is_told(tmp_path):
    runtime = Runtime(str(tmp_path / "admin.sock"), 5.0, "echo 'show info' | socat …")
    with pytest.raises(TargetUnreachable, match="did not answer: No such file") as caught:
        runtime.ask("show info")
    assert "changed nothing" in str(caught.value.state)
    assert str(caught.value.next_command).endswith(f"ls -l {tmp_path}/admin.sock")


def test_an_order_is_done_when_haproxy_answers_an_empty_line():
    with answering(b"\n") as runtime:
        runtime.order("set server app/blue1 weight 1")
