"""The file that nginx.conf includes: from shares to its text, and from what nginx tells of it back to shares. Pure.

Sides are chosen by `split_clients`, and each is an upstream of its own: weights in one upstream would be bent by `least_conn`, by
`max_fails` and by `proxy_next_upstream`, which hand what a bad side fails to do to the other one, and hide that it is bad.

Source: nginx 1.22, ngx_http_split_clients_module (shares by MurmurHash2 of the key), ngx_http_map_module, ngx_http_upstream_module.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from backout.routers.nginx.options import NginxOptions

RETRY_AFTER_S = 30
HOLDS, LETS = "held=yes", "held=no"
"""What a person exchanges for one another in the file, to hold by hand."""
_TOLD = re.compile(
    r"(?P<name>\w+) (?P<shares>\S+=\d+(?: \S+=\d+)*) held=(?P<held>yes|no) (?P<mark>[0-9a-f]{16})(?: (?P<to>\S+))?"
)


@dataclass(frozen=True, slots=True)
class Division:
    """How requests are divided, and whether they are held."""

    shares: Mapping[str, int]
    held: bool = False

    def admits(self, side: str) -> bool:
        """Tell whether new requests reach a side."""
        return bool(self.shares[side]) and not self.held


def path_of(options: NginxOptions) -> str:
    """Return the path under which nginx tells what it runs, at its status address."""
    return f"/backout/{options.variable}"


def told(division: Division, options: NginxOptions) -> str:
    """Return the words by which file and nginx tell a division; the mark at their end stands for all else in the file."""
    return f"{_words(division, options)} {_mark(division, options)}"


def text(division: Division, options: NginxOptions) -> str:
    """Return the file."""
    return _text(division, options, _mark(division, options))


def running(answer: str, options: NginxOptions) -> Division | None:
    """Return what nginx runs by its own answer; None: that is no text of ours for these options, or not what it does."""
    match = _TOLD.fullmatch(answer.strip())
    if match is None or match["name"] != options.variable:
        return None
    division = _division(match["shares"], match["held"], options)
    if division is None or match["mark"] != _mark(division, options):
        return None
    # Where it would send this request: somebody may have changed one line, and not the others.
    chosen = match["to"]
    possible = (
        {options.status}
        if division.held
        else {_upstream(name, options) for name in division.shares if division.shares[name]}
    )
    return division if chosen in possible else None


def written(content: str, options: NginxOptions) -> Division | None:
    """Return what a file says; None: it is not, to the letter, what backout writes for these options."""
    lines = content.splitlines()
    match = _TOLD.fullmatch(lines[0].removeprefix("# ")) if lines else None
    division = _division(match["shares"], match["held"], options) if match else None
    return division if division is not None and text(division, options) == content else None


def claimed(words: str, options: NginxOptions) -> Division | None:
    """Return what words say, of nginx or of a file for whatever other options: something to propose, not to go by."""
    match = _TOLD.fullmatch(words.strip().removeprefix("# "))
    if match is None or match["name"] != options.variable:
        return None
    return _division(match["shares"], match["held"], options)


def _division(shares: str, held: str, options: NginxOptions) -> Division | None:
    found = {name: int(share) for name, _, share in (one.rpartition("=") for one in shares.split())}
    if set(found) != set(options.sides) or sum(found.values()) != 100:
        return None
    return Division({name: found[name] for name in options.sides}, held == "yes")


def _words(division: Division, options: NginxOptions) -> str:
    shares = " ".join(f"{name}={division.shares[name]}" for name in options.sides)
    return f"{options.variable} {shares} {HOLDS if division.held else LETS}"


def _mark(division: Division, options: NginxOptions) -> str:
    # Without what a person may exchange by hand.
    bare = _text(replace(division, held=False), options, "")
    return hashlib.sha256(bare.encode()).hexdigest()[:16]


def _upstream(side: str, options: NginxOptions) -> str:
    # Without a `Host` of their own, requests have this one: no underscore between, which a host name may not have.
    return f"{options.variable}-{side}"


def _text(division: Division, options: NginxOptions, mark: str) -> str:
    name, shares = options.variable, division.shares
    key, lines = (
        "$request_id",
        [f"# {_words(division, options)} {mark}", "# Written by backout; do not edit."],
    )
    if options.sticky_cookie is not None:
        key, cookie = f"${name}_key", f"$cookie_{options.sticky_cookie}"
        lines.append(f'map {cookie} {key} {{ "" $request_id; default {cookie}; }}')
    # From the last side on: a canary that is given more keeps the clients that it has.
    *first, last = [side for side in reversed(options.sides) if shares[side]]
    split = "".join(f"{shares[side]}% {_upstream(side, options)}; " for side in first)
    lines += [
        f"split_clients {key} ${name}_side {{ {split}* {_upstream(last, options)}; }}",
        # An address that is answered by the server below; no upstream is asked while it holds.
        f"map {HOLDS if division.held else LETS} ${name} {{ ~=y {options.status}; default ${name}_side; }}",
    ]
    for side, servers in options.sides.items():
        if shares[side]:
            inside = "".join(f"{one}; " for one in (*options.upstream, *(f"server {one}" for one in servers)))
            lines.append(f"upstream {_upstream(side, options)} {{ {inside}}}")
    words = f"{_words(division, options)} {mark}"
    lines += [
        "server {",
        f"    listen {options.status};",
        "    access_log off;",
        "    client_max_body_size 0;",
        "    default_type text/plain;",
        f"    add_header Retry-After {RETRY_AFTER_S} always;",
        '    location / { return 503 "Down for maintenance. Try again in a moment.\\n"; }',
        f'    location = {path_of(options)} {{ return 200 "{words} ${name}\\n"; }}',
        "}",
    ]
    return "\n".join(lines) + "\n"
