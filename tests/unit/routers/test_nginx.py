"""What backout writes for nginx, what nginx tells of it, and what the kernel tells of nginx."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from backout.clock import SystemClock
from backout.errors import NotPossible, StepFailed
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.routers.nginx import NginxRouter
from backout.routers.nginx.by_hand import shifting, writing
from backout.routers.nginx.change import _locked
from backout.routers.nginx.included import Division, claimed, running, text, told, written
from backout.routers.nginx.options import NginxOptions
from backout.routers.nginx.processes import (
    Unreadable,
    Worker,
    insides,
    is_alive,
    is_being_reloaded,
    left_behind,
    master,
    strays,
    workers,
)
from backout.routers.nginx.program import Configuration
from backout.testing.routers import typed
from backout.testing.steps import wait_until

OPTIONS = {
    "file": "/etc/nginx/backout-shop.conf",
    "variable": "shop",
    "status": "127.0.0.1:8099",
    "sides": {"stable": ["127.0.0.1:8001", "[::1]:8003"], "canary": ["127.0.0.1:8002"]},
}
SIDES = NginxOptions.model_validate(OPTIONS)


def division(stable: int, *, held: bool = False) -> Division:
    return Division({"stable": stable, "canary": 100 - stable}, held)


def split(stable: int) -> str:
    found = re.search(r"split_clients \S+ \S+ \{ (.*) \}", text(division(stable), SIDES))
    assert found
    return found[1]


def answer(of: Division, to: str) -> str:
    return f"{told(of, SIDES)} {to}\n"


def test_shares_are_per_cent_as_they_stand_whatever_the_number_of_servers() -> None:
    assert split(99) == "1% shop-canary; * shop-stable;"
    assert split(1) == "99% shop-canary; * shop-stable;"
    assert (split(100), split(0)) == ("* shop-stable;", "* shop-canary;")


def test_three_sides_are_divided_from_the_last_one_on_so_that_a_canary_keeps_its_clients() -> None:
    three = NginxOptions.model_validate(
        OPTIONS | {"sides": {"a": ["127.0.0.1:1"], "b": ["127.0.0.1:2"], "c": ["127.0.0.1:3"]}}
    )
    assert "{ 5% shop-c; 20% shop-b; * shop-a; }" in text(Division({"a": 75, "b": 20, "c": 5}), three)


@pytest.mark.parametrize("held", [False, True])
def test_a_side_without_a_share_has_no_server_in_the_file(held: bool) -> None:
    """Whatever fails, `proxy_next_upstream` and `max_fails` have nobody else to ask."""
    content = text(division(100, held=held), SIDES)
    assert "8002" not in content and "shop-canary" not in content
    assert "server 127.0.0.1:8001; server [::1]:8003;" in content


def test_each_side_gets_the_directives_of_an_upstream() -> None:
    options = NginxOptions.model_validate(OPTIONS | {"upstream": ["least_conn", "keepalive 32"]})
    content = text(division(50), options)
    assert content.count("{ least_conn; keepalive 32; server ") == 2


def test_clients_stick_by_a_cookie_and_those_without_it_are_divided_by_request() -> None:
    options = NginxOptions.model_validate(OPTIONS | {"sticky_cookie": "session"})
    content = text(division(50), options)
    assert 'map $cookie_session $shop_key { "" $request_id; default $cookie_session; }' in content
    assert "split_clients $shop_key $shop_side" in content


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("stable", [0, 1, 50, 100])
def test_what_is_written_is_read_again(stable: int, held: bool) -> None:
    one = division(stable, held=held)
    assert written(text(one, SIDES), SIDES) == one


def test_held_is_one_word_that_a_person_can_exchange() -> None:
    lets, holds = text(division(90), SIDES), text(division(90, held=True), SIDES)
    assert lets.replace("held=no", "held=yes") == holds
    assert holds.replace("held=yes", "held=no") == lets


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace("8001", "8009"),
        lambda content: content.replace("1% shop-canary", "2% shop-canary"),
        lambda content: content + "\n",
        lambda content: content.replace("stable=99 canary=1", "stable=98 canary=2", 1),
        lambda content: content.replace("held=no", "held=yes", 1),
        lambda content: content.replace("canary=1", "canary=1 other=0"),
        lambda content: content[:-3],
        lambda content: "",
        lambda content: "\n",
        lambda content: "# shop stable=1\n",
    ],
)
def test_an_edited_file_says_nothing(change) -> None:  # type: ignore[no-untyped-def]
    assert written(change(text(division(99), SIDES)), SIDES) is None


def test_a_file_for_other_servers_says_nothing() -> None:
    """Connections to them would be counted as none."""
    other = NginxOptions.model_validate(
        OPTIONS | {"sides": {"stable": ["127.0.0.1:8001"], "canary": ["127.0.0.1:8002"]}}
    )
    content = text(division(99), SIDES)
    assert written(content, other) is None
    assert running(f"{told(division(99), SIDES)} shop-stable\n", other) is None
    assert running(f"{told(division(99), other)} shop-stable\n", other) == division(99)


def test_what_nginx_runs_is_what_it_says_and_where_it_would_send_the_request_that_asks() -> None:
    assert running(answer(division(99), "shop-stable"), SIDES) == division(99)
    assert running(answer(division(99), "shop-canary"), SIDES) == division(99)
    assert running(answer(division(99, held=True), "127.0.0.1:8099"), SIDES) == division(99, held=True)


@pytest.mark.parametrize(
    "said",
    [
        answer(division(100), "shop-canary"),
        answer(division(100), "127.0.0.1:8099"),
        answer(division(100, held=True), "shop-stable"),
        answer(division(100), "shop-stable").replace("shop ", "other ", 1),
        answer(division(100), "shop-stable").replace("stable=100 canary=0", "stable=0 canary=100"),
        answer(division(100), "shop-stable").replace("stable=100", "stable=90"),
        told(division(100), SIDES),
        "<html>welcome</html>",
        "",
    ],
)
def test_another_answer_is_none(said: str) -> None:
    """One line of the file may have been changed, and the others not; or somebody else listens there."""
    assert running(said, SIDES) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("variable", "$shop"),
        ("variable", "shop;"),
        ("status", "0.0.0.0:8099"),
        ("status", "10.0.0.1:8099"),
        ("status", "127.0.0.1"),
        ("status", "127.0.0.1:8001"),  # A server of a side.
        ("sides", {"stable": ["localhost:8001"], "canary": ["127.0.0.1:8002"]}),
        ("sides", {"stable": ["unix:/run/app.sock"], "canary": ["127.0.0.1:8002"]}),
        ("sides", {"stable": ["127.0.0.1:0"], "canary": ["127.0.0.1:8002"]}),
        ("sides", {"stable": ["127.0.0.1:65536"], "canary": ["127.0.0.1:8002"]}),
        ("sides", {"stable": ["::1:8001"], "canary": ["127.0.0.1:8002"]}),
        # The kernel tells connections to these as to 127.0.0.1: they would be counted as none.
        ("sides", {"stable": ["0.0.0.0:8001"], "canary": ["127.0.0.1:8002"]}),
        ("sides", {"stable": ["[::]:8001"], "canary": ["127.0.0.1:8002"]}),
        ("sides", {"stable": ["[::ffff:127.0.0.1]:8001"], "canary": ["127.0.0.1:8002"]}),
        ("sides", {"stable": ["127.0.0.1:8001 backup"], "canary": ["127.0.0.1:8002"]}),
        ("sides", {"stable": ["127.0.0.1:8001"], "canary": ["127.0.0.1:8001"]}),
        ("sides", {"stable": ["127.0.0.1:8001"], "canary": []}),
        ("sides", {"stable": ["127.0.0.1:8001"]}),
        ("upstream", ["keepalive 32;"]),
        ("upstream", ["server 127.0.0.1:8009"]),
        ("upstream", ["least_conn }"]),
        ("sticky_cookie", "my-session"),
        ("sticky_cookie", "a b"),
        ("command", []),
        ("file", ""),
    ],
)
def test_what_nginx_cannot_do_or_would_take_for_something_else_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        NginxOptions.model_validate(OPTIONS | {key: value})


def test_a_person_writes_the_same_and_what_is_held_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "it's here.conf"
    for before, after in (
        (division(100), division(0)),
        (division(100, held=True), division(0, held=True)),
        (None, division(0)),
    ):
        path.unlink(missing_ok=True)
        if before:
            path.write_text(text(before, SIDES))
        typed((writing(division(0), SIDES, str(path)),))
        assert path.read_text() == text(after, SIDES)


def test_by_hand_it_is_tested_before_it_is_loaded_and_waited_for() -> None:
    _, loads, waits = shifting(division(0), SIDES, "/etc/nginx/backout-shop.conf")
    assert loads == "nginx -t && nginx -s reload"
    assert "timeout 10 " in waits and '"shop stable=0 canary=100 "' in waits


def test_whether_the_file_matters_is_told_by_the_whole_configuration() -> None:
    content = text(division(100), SIDES)
    for line, sends in (
        ("proxy_pass http://$shop;", True),
        ("proxy_pass  http://${shop}$request_uri;", True),
        ("proxy_pass http://$shop2;", False),
        ("proxy_pass http://shop;", False),
        ("# proxy_pass http://$shop;", False),
        ("proxy_pass http://other; # proxy_pass http://$shop;", False),
        ("log_format x $shop;", False),
    ):
        assert Configuration(f"{content}\n{line}\n", "").sends_by("shop", content) is sends, line
    assert not Configuration("", "").includes(content)
    assert Configuration(f"{content}upstream x {{ server 127.0.0.1:8001; }}", "").names(
        "127.0.0.1:8001", content
    )
    assert not Configuration(f"{content}listen 127.0.0.1:80011;", "").names("127.0.0.1:8001", content)


@pytest.mark.parametrize(
    ("line", "gives"),
    [
        ("set $shop shop-canary;", True),
        ("if ($arg_x) { set $Shop 127.0.0.1:8002; }", True),
        ("auth_request_set $shop $upstream_http_side;", True),
        ("map $host $shop { default shop-stable; }", True),
        ("geo $shop_side{ default shop-stable; }", True),
        (r"server_name ~^(?<shop>.+)\.example\.com$;", True),
        ("rewrite (?P<shop>.*) /;", True),
        ("set $side $shop;", False),
        ("map $shop $log { default 1; }", False),
        ("set $shop2 x; map $host $shop_key { default 1; }", False),
        ("# set $shop shop-canary;", False),
        ("proxy_pass http://$shop; proxy_set_header X-Side $shop;", False),
    ],
)
def test_another_value_of_the_variable_is_found(line: str, gives: bool) -> None:
    content = text(division(100), SIDES)
    assert Configuration(f"{content}\n{line}\n", "").gives("shop", content) is gives


def test_a_file_for_other_options_is_proposed_anew_with_the_shares_that_it_has() -> None:
    other = NginxOptions.model_validate(OPTIONS | {"upstream": ["keepalive 8"]})
    for words in (text(division(1), other).splitlines()[0], answer(division(1), "shop-canary")):
        assert claimed(words, SIDES) == division(1)
    assert claimed("# shop stable=1 canary=1 held=no 0123456789abcdef", SIDES) is None
    assert claimed("# other stable=1 canary=99 held=no 0123456789abcdef", SIDES) is None
    assert claimed("", SIDES) is None


def test_a_folder_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFS without its lock service."""

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refused)
    with pytest.raises(StepFailed, match="cannot be locked: No locks available"), _locked(tmp_path, 1.0, ""):
        pass


def test_a_reload_is_half_done_while_workers_of_two_ages_take_connections() -> None:
    """Old ones are told to end 100 ms after the new ones were started."""
    now_s = float(Path("/proc/uptime").read_text().split()[0])
    old, new = Worker(1, now_s - 100, ends=False), Worker(2, now_s, ends=False)
    assert is_being_reloaded([old, new])
    assert not is_being_reloaded([new, Worker(3, now_s + 0.02, ends=False)])
    assert not is_being_reloaded([Worker(1, now_s - 100, ends=True), new])
    # A worker that was started again because it had crashed.
    assert not is_being_reloaded([old, Worker(2, now_s - 5, ends=False)])
    assert not is_being_reloaded([])


def test_a_worker_that_did_not_end_is_older_than_the_file_that_the_others_run() -> None:
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    old, ending, new = (
        Worker(1, now_s - 100, ends=False),
        Worker(2, now_s - 100, ends=True),
        Worker(3, now_s - 5, ends=False),
    )
    assert left_behind([old, ending, new], time.time() - 10) == [old]
    # Both run it; and none has read it, or it was written again as it was.
    assert left_behind([old, new], time.time() - 200) == left_behind([old, new], time.time()) == []
    assert left_behind([ending, new], time.time() - 10) == []


@pytest.mark.parametrize(
    "shares",
    [
        {"stable": 95.0, "canary": 5.0},
        {"stable": 99.5, "canary": 0.5},
        {"stable": 99, "canary": True},
        {"stable": 101, "canary": -1},
        {"stable": 90, "canary": 5},
        {"stable": 100},
    ],
)
def test_shares_that_are_not_whole_per_cent_are_refused(tmp_path: Path, shares: dict[str, int]) -> None:
    """A script may have reckoned them: 5.0 would stand in the file, and everything be refused afterwards."""
    site = Site("collector", "test", tmp_path, {}, SystemClock(), Redactor())
    router = NginxRouter.create(SIDES, site)
    for act in (router.shift, router.begun, router.shift_by_hand):
        with pytest.raises(NotPossible, match="is not 100 in whole per cent for all its sides"):
            act(shares)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_are_told_by_whose_they_are(host: str) -> None:
    """This process plays a worker: a client of it has no server, then one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    own = Worker(os.getpid(), 0.0, ends=True)
    with closing(socket.create_server((host, 0), family=family)) as front:
        before = insides(os.getpid(), [own], [])[own].undecided
        address, port = front.getsockname()[:2]
        client = socket.create_connection((address, port))
        accepted, _ = front.accept()
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with closing(client), closing(accepted):
            found = insides(os.getpid(), [own], [name, "127.0.0.1:1"])[own]
            # The client's end goes out to that address, and is inside it; both ends are this process's.
            assert found.servers == {name: 1, "127.0.0.1:1": 0}
            assert found.undecided == before
        assert insides(os.getpid(), [own], [name])[own].servers == {name: 0}


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_master_that_does_not_listen_where_nginx_answers_is_another_one(bound: str) -> None:
    """A wildcard takes connections to every address; of nothing of another nginx it is known that it is none."""
    own = Worker(os.getpid(), 0.0, ends=True)
    with closing(
        socket.create_server((bound, 0), family=socket.AF_INET6 if ":" in bound else socket.AF_INET)
    ) as front:
        assert own in insides(os.getpid(), [own], [], f"127.0.0.1:{front.getsockname()[1]}")
        with pytest.raises(Unreadable, match=r"does not listen at 127\.0\.0\.1:1: the pid file is another"):
            insides(os.getpid(), [own], [], "127.0.0.1:1")


def test_connections_that_this_user_may_not_see_are_an_error_and_not_none() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(Unreadable, match=r"connections of nginx's process 1: Permission denied"):
            insides(os.getpid(), [Worker(1, 0.0, ends=True)], ["127.0.0.1:1"])
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


@contextmanager
def titled(title: str, *shared: int) -> Iterator[int]:
    """Give the pid of a process with a title, and with some files of this one."""
    child = subprocess.Popen([title, "60"], executable=shutil.which("sleep"), pass_fds=shared)
    try:
        wait_until(lambda: Path(f"/proc/{child.pid}/cmdline").read_text().startswith(title))
        yield child.pid
    finally:
        child.kill()
        child.wait()


def test_a_worker_without_a_master_is_an_old_one_or_makes_what_runs_unknown() -> None:
    """This process plays nginx's new master, and its children workers that an earlier one left when it was killed."""
    with closing(socket.create_server(("127.0.0.1", 0))) as front:
        with titled("nginx: worker process is shutting down") as pid:
            assert [one.ends for one in strays(os.getpid()) if one.pid == pid] == [True]
        with titled("nginx: worker process") as pid:  # Another nginx's.
            assert pid not in [one.pid for one in strays(os.getpid())]
        with (
            titled("nginx: worker process", front.fileno()) as pid,
            pytest.raises(Unreadable, match=f"worker {pid} has no master any more"),
        ):
            strays(os.getpid())


def test_an_upgrade_is_over_when_the_earlier_master_has_ended(tmp_path: Path) -> None:
    """Killed, it leaves its file behind, and its workers are found by themselves."""
    path, old = tmp_path / "nginx.pid", tmp_path / "nginx.pid.oldbin"
    with titled("nginx: master process nginx") as new:
        path.write_text(f"{new}\n")
        with titled("nginx: master process nginx") as earlier:
            for told in ("", f"{earlier}\n"):
                old.write_text(told)
                with pytest.raises(Unreadable, match="a second master serves"):
                    master(path)
        assert master(path) == new


def test_who_has_ended_has_no_connections_and_is_not_alive() -> None:
    pid = os.spawnvp(os.P_NOWAIT, "true", ["true"])
    os.waitpid(pid, 0)
    gone = Worker(pid, 0.0, ends=True)
    assert insides(os.getpid(), [gone], []) == {}
    assert not is_alive(gone) and not is_alive(Worker(os.getpid(), 0.0, ends=False))
    with pytest.raises(Unreadable, match="has ended"):
        workers(pid)


@pytest.mark.parametrize("content", ["", "1\n2\n", "no number", "1", "999999999"])
def test_a_pid_file_of_no_nginx_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "nginx.pid"
    path.write_text(content)
    with pytest.raises(Unreadable, match="names no master of nginx"):
        master(path)
    with pytest.raises(Unreadable, match="No such file"):
        master(tmp_path / "none")
