"""A real nginx keeps the contracts of routers that hold, and of those that divide requests."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from tests.nginx import nginx
from tests.sides import sides

from backout.children import end
from backout.clock import SystemClock
from backout.errors import LostRace, StepFailed, TargetUnreachable
from backout.observed import Answer
from backout.plan.base import Acting, Probed
from backout.plan.model import StepSpec
from backout.steps.hold import Hold, ReleaseHold
from backout.testing.routers import RouterCase, RouterContract, typed
from backout.testing.steps import wait_until
from backout.testing.traffic import TrafficCase, TrafficContract

pytestmark = pytest.mark.slow


@pytest.fixture
def proxy(tmp_path, require_service):
    require_service("nginx")
    with sides("blue", "blue2", "green") as running:
        running["blue2"].name = "blue"
        ports = {"blue": (running["blue"].port, running["blue2"].port), "green": (running["green"].port,)}
        with nginx(tmp_path, ports, sticky_cookie="session") as made:
            yield made


class TestHolding(RouterContract):
    @pytest.fixture
    def case(self, proxy):
        url = f"http://127.0.0.1:{proxy.port}"
        return RouterCase(router=proxy.router(), url=f"{url}/", slow_url=f"{url}/slow", kill=proxy.kill)


class TestTraffic(TrafficContract):
    @pytest.fixture
    def case(self, proxy):
        return TrafficCase(
            router=proxy.router(),
            port=proxy.port,
            sides=("blue", "green"),
            reload=proxy.reload,
            kill=proxy.kill,
            # Which side a value is sent to at 50:50 is the hash's word.
            cookie=lambda side: f"session={'1' if side == 'blue' else '2'}",
        )


BLUE, GREEN = {"blue": 100, "green": 0}, {"blue": 0, "green": 100}


def appended(made, line):
    """Put a line at the end of nginx.conf; returns what stood there before."""
    before = made.configuration.read_text()
    made.configuration.write_text(before + line)
    return before


def through(made, folder, script):
    """Return a router that calls nginx by a script; "$@" in it is what nginx is called with."""
    program = folder / "program"
    program.write_text(f"#!/bin/sh\nPATH=$PATH:/usr/sbin\n{script}\n")
    program.chmod(0o755)
    return made.router(command=[str(program), *made.argv[1:]])


def test_a_mistake_elsewhere_in_the_configuration_is_told_and_nothing_is_reloaded(proxy):
    router, content, workers = proxy.router(), proxy.included.read_text(), proxy.taking
    before = appended(proxy, "nonsense on;\n")
    with pytest.raises(
        StepFailed, match=r'refuses its configuration: .*unknown directive "nonsense"'
    ) as caught:
        router.shift(GREEN)
    assert "says so again" in str(caught.value.state) and caught.value.next_command.endswith(" -t")
    assert (proxy.included.read_text(), proxy.taking) == (content, workers)
    assert (router.traffic(5).shares, router.traffic(5).kept) == (BLUE, Answer.YES)
    assert [one.subject for one in router.doctor() if not one.ok] == ["router nginx: configuration"]
    proxy.configuration.write_text(before)
    router.shift(GREEN)
    assert router.traffic(5).shares == GREEN


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        ("    include {folder}/shop.conf;", "    include {folder}/o*er.conf;", "does not include"),
        ("http://$shop;", "http://127.0.0.1:1; # not http://$shop;", r"sends no request by \$shop"),
        ("location / {{", "set $shop shop-blue; location / {{", r"gives \$shop a value outside"),
    ],
)
def test_a_configuration_in_which_the_file_does_not_matter_is_told(proxy, line, instead, told):
    router, content = proxy.router(), proxy.included.read_text()
    line, instead = (one.format(folder=proxy.folder) for one in (line, instead))
    if "include" in line:  # What stands for it, so that nginx takes the rest.
        (proxy.folder / "other.conf").write_text('map 1 $shop { default "127.0.0.1:1"; }\n')
    proxy.configuration.write_text(proxy.configuration.read_text().replace(line, instead))
    with pytest.raises(StepFailed, match=told) as caught:
        router.shift(GREEN)
    assert proxy.included.read_text() == content
    red = next(one for one in router.doctor() if not one.ok)
    assert red.subject == "router nginx: configuration" and red.remedy == caught.value.next_command


def test_a_reload_that_nginx_gives_up_is_noticed_and_the_file_says_what_runs(proxy):
    """A port that is taken passes the test of the configuration; nginx tries for 2.5 s to have it."""
    router, content = proxy.router(timeout_s=0.5), proxy.included.read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listens = f"server {{ listen 127.0.0.1:{taken.getsockname()[1]}; }}"
        before = proxy.configuration.read_text()
        proxy.configuration.write_text(
            before.replace("    map $http_upgrade", f"{listens}\n    map $http_upgrade")
        )
        with pytest.raises(StepFailed, match="not all that takes connections runs the new file") as caught:
            router.shift(GREEN)
        assert "says so again" in str(caught.value.state)
        assert proxy.included.read_text() == content
        assert (router.traffic(5).shares, router.traffic(5).kept) == (BLUE, Answer.YES)
    # nginx had read the file before, and now gets the port: late, what was given up runs all the same.
    wait_until(lambda: router.traffic(5).shares == GREEN)
    assert router.traffic(5).kept is Answer.NO
    router.shift(BLUE)
    assert (router.traffic(5).shares, router.traffic(5).kept) == (BLUE, Answer.YES)


def test_whether_it_was_reloaded_is_not_the_programs_word(proxy, tmp_path):
    """A reply that is lost, and one that lies."""
    lost = through(proxy, tmp_path, 'nginx "$@"; done=$?; case "$*" in *reload) exit 1;; esac; exit $done')
    lost.shift(GREEN)
    assert lost.traffic(5).shares == GREEN
    lies = through(proxy, tmp_path, 'case "$*" in *reload) exit 0;; esac; exec nginx "$@"')
    lies.options = lies.options.model_copy(update={"timeout_s": 0.5})
    with pytest.raises(StepFailed, match="not all that takes connections runs the new file"):
        lies.shift(BLUE)
    assert (lies.traffic(5).shares, lies.traffic(5).kept) == (GREEN, Answer.YES)


def test_nginx_that_ends_while_it_reloads_is_told_and_starts_as_it_ran(proxy, tmp_path):
    killing = f"kill -KILL $(cat {proxy.folder}/nginx.pid) $(pgrep -P $(cat {proxy.folder}/nginx.pid))"
    router = through(proxy, tmp_path, f'case "$*" in *reload) {killing}; exit 0;; esac; exec nginx "$@"')
    with pytest.raises(TargetUnreachable, match="ended while it was told to reload") as caught:
        router.shift(GREEN)
    assert "what it runs now is not known" in str(caught.value.state)
    proxy.start()
    assert (router.traffic(5).shares, router.traffic(5).kept) == (BLUE, Answer.YES)


def test_workers_without_their_master_are_no_nginx_that_is_known(proxy):
    """They take requests, and no reload reaches them."""
    workers = proxy.taking
    end(proxy.pid, None, signal.SIGKILL)
    try:
        for act in (lambda: proxy.router().traffic(1.0), lambda: proxy.router().shift(GREEN)):
            with pytest.raises(TargetUnreachable, match="names no master"):
                act()
    finally:
        for one in workers:
            end(one, None, signal.SIGKILL)


def test_a_file_that_somebody_edited_is_not_written_over(proxy):
    """Whether it was loaded, too, or not."""
    router = proxy.router()
    edited = proxy.included.read_text().replace("* shop-blue;", "* 127.0.0.1:1;")
    proxy.included.write_text(edited)
    acts = (
        lambda: router.traffic(5),
        lambda: router.shift(GREEN),
        lambda: router.hold("maintenance"),
        lambda: router.begun(GREEN),
    )
    for act in acts:
        with pytest.raises(TargetUnreachable, match="somebody edited"):
            act()
    proxy.reload()
    for act in acts:
        with pytest.raises(TargetUnreachable, match=r"runs another text|somebody edited"):
            act()
    assert router.observe(1.0).held is Answer.UNKNOWN
    assert proxy.included.read_text() == edited
    red = {one.subject: one.remedy for one in router.doctor() if not one.ok}
    assert set(red) == {"router nginx", "router nginx: kept over a reload"}
    typed((red["router nginx: kept over a reload"],))
    proxy.reload()
    router.shift(GREEN)
    assert router.traffic(5).shares == GREEN


def test_a_file_for_options_that_were_changed_is_written_with_the_shares_that_run(proxy):
    proxy.router().shift(GREEN)
    changed = proxy.router(upstream=["keepalive 8"])
    red = {one.subject: one for one in changed.doctor() if not one.ok}["router nginx: kept over a reload"]
    assert "go to green 100 %" in str(red.evidence)
    typed((red.remedy,))
    proxy.reload()
    assert (changed.traffic(5).shares, changed.traffic(5).kept) == (GREEN, Answer.YES)


def test_a_file_that_is_taken_away_while_it_is_loaded_is_no_nginx_that_goes_on_as_it_did(proxy, tmp_path):
    """By a program that manages configurations, between the test and the reload: nginx runs what that wrote."""
    other = tmp_path / "theirs"
    other.write_text(proxy.included.read_text().replace("* shop-blue;", "* 127.0.0.1:1;"))
    theirs = f'case "$*" in *reload) cp {other} {proxy.included};; esac; exec nginx "$@"'
    router = through(proxy, tmp_path, theirs)
    router.options = router.options.model_copy(update={"timeout_s": 0.5})
    with pytest.raises(StepFailed, match="not all that takes connections runs") as caught:
        router.shift(GREEN)
    assert "What nginx runs now is not known." in str(caught.value.state)
    assert proxy.included.read_text() == other.read_text()


def test_the_pid_file_of_another_nginx_is_told_and_nothing_is_taken_for_empty(proxy, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    with nginx(folder, {"blue": (1,), "green": (2,)}) as other:
        router = proxy.router(pid_file=str(folder / "nginx.pid"))
        with pytest.raises(TargetUnreachable, match="the pid file is another nginx's"):
            router.traffic(5)
        with pytest.raises(TargetUnreachable, match="the pid file is another nginx's"):
            router.shift(GREEN)
        assert other.router().traffic(5).shares == BLUE
    assert proxy.router().traffic(5).shares == BLUE


def test_a_worker_that_does_not_end_is_told_and_not_forgotten(proxy):
    """It hangs, at a disk or in a module, and would go on with what it knows when it wakes."""
    router = proxy.router(timeout_s=1.5)
    hangs = min(proxy.taking)
    os.kill(hangs, signal.SIGSTOP)
    # Until then it may still take a connection with it.
    wait_until(lambda: Path(f"/proc/{hangs}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    try:
        for _ in range(2):
            with pytest.raises(
                StepFailed, match="not all that takes connections runs the new file"
            ) as caught:
                router.shift(GREEN)
            assert "{path} says so" in str(caught.value.state).replace(str(proxy.included), "{path}")
            # Looked at all the same: requests are taken away from a side also while something hangs.
            assert (router.traffic(5).shares, router.traffic(5).kept) == (GREEN, Answer.NO)
            red = next(one for one in router.doctor() if not one.ok)
            assert f"Worker {hangs} of nginx did not end" in str(red.evidence)
    finally:
        os.kill(hangs, signal.SIGCONT)
    wait_until(lambda: hangs not in proxy.taking)
    assert (router.traffic(5).shares, router.traffic(5).kept) == (GREEN, Answer.YES)


def test_a_file_that_is_gone_is_written_anew(proxy):
    router = proxy.router()
    proxy.included.unlink()
    assert (router.traffic(5).shares, router.traffic(5).kept) == (BLUE, Answer.NO)
    router.shift(BLUE)
    assert router.traffic(5).kept is Answer.YES


def test_a_file_that_cannot_be_written_is_told_and_nothing_changes(proxy):
    router, content = proxy.router(), proxy.included.read_text()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(StepFailed, match="could not be written: File too large"):
            router.shift(GREEN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert proxy.included.read_text() == content
    assert [one.name for one in proxy.folder.iterdir() if one.name.startswith(".")] == []
    assert (router.traffic(5).shares, router.traffic(5).kept) == (BLUE, Answer.YES)


def test_a_shift_that_was_killed_is_known_and_is_taken_up_or_undone(proxy):
    router = proxy.router()
    shift = (
        "import json, sys; from pathlib import Path; from backout.clock import SystemClock; from backout.platforms.base import Site\n"
        "from backout.redact import Redactor; from backout.routers.nginx import NginxOptions, NginxRouter\n"
        "site = Site('collector', 'test', Path(sys.argv[1]), {}, SystemClock(), Redactor())\n"
        "NginxRouter.create(NginxOptions.model_validate_json(sys.argv[2]), site).shift(json.loads(sys.argv[3]))\n"
    )
    for point, then in (("nginx.change.written", BLUE), ("nginx.change.reloaded", GREEN)):
        router.shift(BLUE)
        argv = [sys.executable, "-c", shift, str(proxy.folder), json.dumps(proxy.told), json.dumps(GREEN)]
        assert (
            subprocess.run(argv, env={**os.environ, "BACKOUT_FAULT": point}, check=False).returncode
            == -signal.SIGKILL
        )
        assert router.begun(GREEN) and not router.begun({"blue": 50, "green": 50})
        traffic = router.traffic(5)
        assert (traffic.shares, traffic.kept) in ((BLUE, Answer.NO), (GREEN, Answer.YES)), point
        router.shift(then)
        assert (router.traffic(5).shares, router.traffic(5).kept) == (then, Answer.YES)


def test_two_at_once_come_one_after_the_other(proxy):
    wanted = [BLUE, GREEN, {"blue": 50, "green": 50}]
    with ThreadPoolExecutor() as pool:
        for one in [pool.submit(proxy.router().shift, shares) for shares in wanted]:
            one.result()
    traffic = proxy.router().traffic(5)
    assert traffic.shares in wanted and traffic.kept is Answer.YES


def test_another_that_takes_too_long_is_told(proxy):
    fd = os.open(proxy.folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with pytest.raises(LostRace, match="Another backout"):
            proxy.router(timeout_s=0.2).shift(GREEN)
    finally:
        os.close(fd)
    assert proxy.router().traffic(5).shares == BLUE


def test_a_request_that_is_still_being_sent_is_inside_the_side_that_it_may_reach(proxy):
    """An old worker sends it there when it is whole, after the shift."""
    router = proxy.router()
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as one:
        one.sendall(head + b"a")
        # The server's next answer over it: the request was read.
        wait_until(lambda: undecided(router) == 1)
        router.shift(GREEN)
        assert router.traffic(5).of("blue").inside == 1
        one.sendall(b"bcd")
        assert one.makefile("rb").read().endswith(b"blue")
    wait_until(lambda: router.traffic(5).of("blue").inside == 0)
    router.shift(BLUE)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as one:
        one.sendall(head + b"a")
        wait_until(lambda: undecided(router) == 1)
        router.shift(GREEN)
        assert router.cut("blue") == 1
        assert one.recv(64) == b""


def undecided(router):
    """Return how many clients are connected without a server."""
    return sum(one.undecided for one in router.look(5).counts.values())


def test_a_hold_that_is_not_in_the_file_or_only_there_is_neither_held_nor_let_go(proxy):
    """As a kill leaves it: any reload, of whomever, would load it."""
    router, lets = proxy.router(), proxy.included.read_text()
    holds = lets.replace("held=no", "held=yes")

    def probed():
        """Whether a step would take it for held, and for let go."""
        clock = SystemClock()
        acting = Acting({"router": router}, clock, cast("Any", None), "run/step", clock.monotonic_s() + 5)
        spec = StepSpec(
            kind="hold", target="router", params={"name": "router", "mode": "maintenance", "prior": {}}
        )
        return Hold().probe(spec, acting).answer, ReleaseHold().probe(spec, acting).answer

    neither = (Probed.PARTIAL, Probed.NOT_DONE)
    assert probed() == (Probed.NOT_DONE, Probed.DONE)
    proxy.included.write_text(holds)
    fact = router.observe(1)
    assert (fact.held, fact.mode, fact.prior) == (Answer.UNKNOWN, "maintenance", {"held": False})
    assert probed() == neither
    router.release({})
    assert (router.observe(1).held, proxy.included.read_text()) == (Answer.NO, lets)
    router.hold("maintenance")
    assert probed() == (Probed.DONE, Probed.NOT_DONE)
    for instead in (lets, lets.replace("held=no", "held=maybe")):
        proxy.included.write_text(instead)
        fact = router.observe(1)
        assert (fact.held, fact.mode, fact.prior) == (Answer.UNKNOWN, "maintenance", {"held": True})
        assert probed() == neither
    proxy.included.write_text(lets)
    router.hold("maintenance")
    assert (router.observe(5).held, proxy.included.read_text()) == (Answer.YES, holds)


def test_what_is_held_is_held_over_a_reload_and_no_server_is_asked(proxy):
    router = proxy.router()
    router.hold("maintenance")
    proxy.reload()
    assert (router.observe(5).held, router.traffic(5).shares) == (Answer.YES, BLUE)
    assert [one.admits for one in router.traffic(5).sides] == [False, False]
    for path in ("/", "/slow?x=1"):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        # A body as large as the service takes it: nginx's default is 1 MiB, and would be another answer.
        connection.request("POST", path, body=b"x" * 2_000_000)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
        connection.close()
