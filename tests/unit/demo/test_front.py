"""The front port as a process, in front of a service that misbehaves on the wire."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from backout.children import Children
from backout.embedded.server import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Wire:
    """A service that answers by a script: bytes to send after a request, then close or not."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.requests: list[bytes] = []
        self.answers: list[bytes | None] = []
        self.keep = True
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    self.requests.append(data)
                    answer = self.answers.pop(0) if self.answers else OK
                    if answer is None:
                        return
                    connection.sendall(answer)
                    if not self.keep:
                        return
            except OSError:
                return

    def drop_all(self) -> None:
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            self.socket.shutdown(socket.SHUT_RDWR)  # Closing alone leaves a blocked accept() listening.
            self.socket.close()
        self.drop_all()


class FrontProcess:
    def __init__(self, directory, upstream: int) -> None:
        self.port, self.admin, self.children = free_port(), free_port(), Children(directory / "run")
        self.command = [sys.executable, "-m", "backout.demo.front", "--listen", str(self.port)]
        self.command += ["--admin", str(self.admin), "--upstream", f"127.0.0.1:{upstream}"]
        self.command += ["--state", str(directory / "mode")]
        self.start()

    def start(self) -> None:
        self.children.start("front", self.command)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.state()
                return
            except OSError:
                assert time.monotonic() < deadline, self.children.log_tail("front")
                time.sleep(0.02)

    def ask(self, method="GET", path="/", body=None, headers=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def state(self):
        return json.loads(self.ask(path="/state", port=self.admin)[1])

    def mode(self, mode, **more):
        body = json.dumps({"mode": mode, "reason": "test", **more})
        return self.ask("PUT", "/mode", body, port=self.admin)[0]

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while more := connection.recv(65536):
                answer += more
            return answer


@pytest.fixture
def wire():
    made = Wire()
    yield made
    made.close()


@pytest.fixture
def front(wire, tmp_path):
    made = FrontProcess(tmp_path, wire.port)
    yield made
    made.children.close()


def test_a_kept_connection_that_the_service_closed_costs_no_request(front, wire):
    for number in range(30):
        assert front.ask("POST", "/", b"x" * number)[0] == 200
        wire.drop_all()  # Between two requests, as a service does when it is restarted.
    assert len(wire.requests) == 30


def test_a_post_is_never_sent_twice_and_a_get_once_more(front, wire):
    assert front.ask()[0] == 200
    wire.answers = [None]  # The service dies on a kept connection, after it got the request.
    assert front.ask("GET")[0] == 200
    assert len(wire.requests) == 3
    wire.answers = [None]
    assert front.ask("POST", "/", b"once")[0] == 502
    assert sum(request.endswith(b"once") for request in wire.requests) == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"a" * 200000, b"a" * 200000),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
    ],
)
def test_every_framing_comes_through_and_the_connection_stays_usable(front, wire, answer, body):
    wire.answers = [answer]
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    for expected in (body, b"ok"):
        connection.request("GET", "/")
        assert connection.getresponse().read() == expected
    connection.close()


def test_an_answer_that_ends_with_the_connection_comes_through_whole(front, wire):
    wire.keep, wire.answers = False, [b"HTTP/1.1 200 OK\r\n\r\nuntil the end"]
    assert front.ask() == (200, b"until the end")


def test_a_head_request_has_no_body_whatever_its_length_says(front, wire):
    wire.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"]
    assert front.ask("HEAD") == (200, b"")
    assert front.ask() == (200, b"ok")


def test_an_answer_cut_short_is_not_passed_off_as_whole(front, wire):
    wire.keep, wire.answers = False, [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
    with pytest.raises((http.client.IncompleteRead, http.client.BadStatusLine, ConnectionError)):
        front.ask()


def test_a_request_body_in_chunks_arrives_whole(front, wire):
    answer = front.raw(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    sent = wire.requests[0]
    assert sent.endswith(b"\r\n\r\nabc")
    assert b"Content-Length: 3" in sent
    assert b"chunked" not in sent


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"GET / HTTP/2.0\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70000 + b"\r\n\r\n", b"413"),
    ],
)
def test_what_is_malformed_never_reaches_the_service(front, wire, data, status):
    assert front.raw(data).split(b" ")[1] == status
    assert wire.requests == []


def test_a_service_that_is_down_is_502_and_the_client_is_kept(front, wire):
    wire.close()
    assert front.ask()[0] == 502
    assert front.state()["answers"] == {"502 front": 1}


def test_the_mode_outlives_a_kill_and_a_damaged_one_is_not_guessed(front, tmp_path):
    assert front.mode("maintenance") == 200
    front.children.stop("front", timeout_s=5)
    front.start()
    assert front.state()["mode"] == "maintenance"
    assert front.ask()[0] == 503
    front.children.stop("front")
    (tmp_path / "mode").write_text('{"mode": "maint')
    done = subprocess.run(front.command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 3
    assert "cannot be read, and is not guessed" in done.stderr


def test_a_waiting_client_that_gives_up_is_not_served_later(front, wire):
    assert front.mode("queue") == 200
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\ngone")
        deadline = time.monotonic() + 5
        while front.state()["waiting"] != 1:
            assert time.monotonic() < deadline
    assert front.mode("pass") == 200
    assert front.ask() == (200, b"ok")
    assert not any(request.endswith(b"gone") for request in wire.requests)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"mode": "open"}', '{"mode": "queue", "drain_s": "soon"}'])
def test_a_mode_that_is_not_understood_changes_nothing(front, body):
    assert front.ask("PUT", "/mode", body, port=front.admin)[0] == 400
    assert front.state()["mode"] == "pass"
