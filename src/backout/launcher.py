"""The script that starts a command for `launch.py` and stays with it when backout is gone.

``python -I -S launcher.py LOCK_FD LABEL PID -- command …`` becomes that command: a service.

``python -I -S launcher.py LOCK_FD LABEL PID STATUS`` waits for it: a job. Command, environment and secrets come
as one line of JSON on standard input, so that none of them stands in the list of processes, in the launcher's
own environment, or in a file. What the job prints goes through a pipe into a process of its own, the sieve,
which writes it to standard output without the secrets: the raw text never is in a file. The sieve lives as
long as somebody holds the pipe, for a deploy script may leave a service behind that still writes.

Imports nothing of backout: without site-packages it starts in a few milliseconds.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
from contextlib import suppress

NOT_FOUND = 127
"""Exit status when the command could not be executed, as in a shell."""
MASK = b"***"
_MIN_SECRET_BYTES = 4
_CHUNK_BYTES = 65_536
_PIPE_BYTES = 1_048_576  # Source: pipe(7), Linux 6.x: the largest pipe that an ordinary user can make
# As in redact.py; the bounds keep short what has to be held back. The user and scheme may be any.
_URL_PASSWORD = re.compile(rb"://[^\s:/@]{0,256}:(?P<secret>[^\s@/]{1,4096})(?=@)")
_URL_BYTES = 4400
_URL_BEGUN = re.compile(rb":(?:/(?:/[^\s:/@]{0,256}(?::[^\s@/]{0,4096})?)?)?\Z")


class Sieve:
    """Takes secrets out of a stream of bytes, wherever the stream is cut into chunks.

    Held back is only what may be the beginning of a secret: the rest is passed on at once, so that the last
    lines of a script that hangs can be read.
    """

    def __init__(self, secrets: list[bytes]) -> None:
        self._secrets = [s for s in secrets if len(s) >= _MIN_SECRET_BYTES]
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what can be passed on now."""
        text = self._held + chunk
        found = self._found(text)
        url = _URL_BEGUN.search(text, max(0, len(text) - _URL_BYTES))
        cut = min((len(text) - len(s) for s in self._begun(text)), default=len(text))
        cut = min(cut, url.start()) if url else cut
        for start, end in reversed(found):
            if start < cut < end:
                cut = start
        self._held = text[cut:]
        return _masked(text[:cut], [span for span in found if span[1] <= cut])

    def end(self) -> bytes:
        """Return the rest; a secret that was begun and broken off is masked too."""
        text, self._held = self._held, b""
        begun = max(map(len, self._begun(text)), default=0)
        broken_off = [(len(text) - begun, len(text))] if begun >= _MIN_SECRET_BYTES else []
        return _masked(text, _merged([*self._found(text), *broken_off]))

    def _begun(self, text: bytes) -> list[bytes]:
        """Return the ends of the text that may go on as one of the secrets."""
        begun = []
        for secret in self._secrets:
            longest = min(len(secret) - 1, len(text))
            begun += [secret[:n] for n in range(longest, 0, -1) if text.endswith(secret[:n])][:1]
        return begun

    def _found(self, text: bytes) -> list[tuple[int, int]]:
        spans = [match.span("secret") for match in _URL_PASSWORD.finditer(text)]
        for secret in self._secrets:
            at = text.find(secret)
            while at >= 0:
                spans.append((at, at + len(secret)))
                at = text.find(secret, at + 1)  # also where two overlap
        return _merged(spans)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _masked(text: bytes, spans: list[tuple[int, int]]) -> bytes:
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], MASK]
        at = end
    return b"".join([*parts, text[at:]])


def _write_atomically(path: str, text: str) -> None:
    draft = f"{path}.{os.getpid()}.tmp"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(fd, text.encode())
    os.fsync(fd)
    os.close(fd)
    os.replace(draft, path)  # noqa: PTH105


def _become(command: list[str], env: dict[str, str]) -> None:
    # CPython ignores these two, and ignored signals survive exec: the command must not inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if hasattr(signal, "SIGXFSZ"):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, env)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode(errors="surrogateescape"))
        os._exit(NOT_FOUND)


def _write_all(data: bytes) -> None:
    # Disk full: the text is lost, and the command goes on. Were the pipe closed, SIGPIPE would end it midway.
    with suppress(OSError):
        while data:
            data = data[os.write(1, data) :]


def _drain(pipe: int, sieve: Sieve) -> None:
    """Pass on what stands in the pipe now, without waiting for more."""
    passed = 0
    while passed < _PIPE_BYTES and select.select([pipe], [], [], 0)[0]:
        chunk = os.read(pipe, _CHUNK_BYTES)
        if not chunk:
            return
        passed += len(chunk)
        _write_all(sieve.feed(chunk))


def _sift(pipe: int, over: int, drained: int, secrets: list[bytes]) -> None:
    """Pass the pipe on until nobody holds it; when the job is over, say that its own part was passed on."""
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"):
        # Whoever ends the whole group ends the command: its last words still have to come through.
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    sieve, waiting = Sieve(secrets), [pipe, over]
    while True:
        ready = select.select(waiting, [], [])[0]
        if over in ready:
            waiting.remove(over)
            _drain(pipe, sieve)
            os.close(drained)
        elif chunk := os.read(pipe, _CHUNK_BYTES):
            _write_all(sieve.feed(chunk))
        else:
            break
    _write_all(sieve.end())


def _start_sieve(held: int, secrets: list[bytes]) -> tuple[int, int, int]:
    """Fork the sieve; returns where to print, what to close when the job is over, and what then ends."""
    (pipe, printed), (over, running), (done, drained) = os.pipe(), os.pipe(), os.pipe()
    if os.fork() == 0:
        for fd in (held, printed, running, done):
            os.close(fd)
        try:
            _sift(pipe, over, drained, secrets)
        finally:
            os._exit(0)
    for fd in (pipe, over, drained):
        os.close(fd)
    return printed, running, done


def _run_job(held: int, pid_path: str, status: str) -> None:
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return  # backout was killed while it told what to start: nothing was started, and none is noted
    import json

    told = json.loads(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.set_inheritable(held, False)
    secrets = [secret.encode(errors="surrogateescape") for secret in told["secrets"]]
    printed, running, done = _start_sieve(held, secrets)
    child = os.fork()
    if child == 0:
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        _become(told["command"], told["env"])
    os.close(printed)
    _write_atomically(pid_path, f"{child}\n")
    _, how = os.waitpid(child, 0)
    os.close(running)
    os.read(done, 1)  # ends when all that the command printed is in the log
    _write_atomically(status, f"{os.waitstatus_to_exitcode(how)}\n")


def main(arguments: list[str]) -> None:
    """Run as the launcher; see the top of this file."""
    held, label, pid_path, status = int(arguments[0]), *arguments[1:4]
    os.pwrite(held, f"{os.getpid()}\n{label}\n".encode(), 0)
    if status != "--":
        _run_job(held, pid_path, status)
        return
    os.set_inheritable(held, True)
    _write_atomically(pid_path, f"{os.getpid()}\n")
    _become(arguments[4:], dict(os.environ))


if __name__ == "__main__":
    main(sys.argv[1:])
