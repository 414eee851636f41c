"""nginx's program: tests a configuration, and has the master read it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_LINES_MOST = 3
_COMMENT = re.compile(r"(?:^|(?<=[\s;{}]))#.*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What nginx says of its configuration.

    Attributes:
        whole: All files of it, one after the other; empty where it is refused.
        words: Why it is refused; empty where it is not.
    """

    whole: str
    words: str

    def includes(self, text: str) -> bool:
        """Tell whether a file of exactly this text is a part of it."""
        return text in self.whole

    def sends_by(self, variable: str, text: str) -> bool:
        """Tell whether requests are sent by a variable somewhere outside of a text."""
        return bool(
            re.search(rf"proxy_pass\s+[\"']?http://\$(?:{variable}\b|{{{variable}}})", self._rest(text))
        )

    def gives(self, variable: str, text: str) -> bool:
        """Tell whether a variable, or one that it is made of, gets a value outside of a text: there that one counts."""
        own = [one for one in (variable, f"{variable}_side", f"{variable}_key") if f"${one} " in text]
        name = f"(?:{'|'.join(own)})"
        assigned = rf"set\s+\${name}\b|\${name}\s*\{{|\(\?P?[<']{name}[>']"
        return bool(re.search(assigned, self._rest(text), re.IGNORECASE))

    def names(self, address: str, text: str) -> bool:
        """Tell whether an address of a server stands somewhere outside of a text."""
        return bool(re.search(rf"(?<![\w.:]){re.escape(address)}(?!\d)", self._rest(text)))

    def _rest(self, text: str) -> str:
        return _COMMENT.sub("", self.whole.replace(text, ""))


class Program:
    """nginx's program.

    Args:
        command: How it is started.
        timeout_s: Seconds that one call may take.
    """

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        self.command, self._timeout_s = tuple(command), timeout_s

    def typed(self, *words: str) -> str:
        """Return what a person would type."""
        return shlex.join((*self.command, *words))

    def tested(self) -> Configuration:
        """Have nginx test the configuration as it lies there; changes nothing."""
        code, out, words = self._called("-T")
        return (
            Configuration(whole=out, words="")
            if code == 0
            else Configuration(whole="", words=words or f"exit {code}")
        )

    def reload(self) -> str:
        """Tell the master to read the configuration; returns the program's words if it did not. Whether it did is read back."""
        code, _, words = self._called("-s", "reload")
        return "" if code == 0 else words or f"exit {code}"

    def _called(self, *words: str) -> tuple[int, str, str]:
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
        program = shutil.which(self.command[0], path=path) or self.command[0]
        try:
            done = subprocess.run(
                [program, *self.command[1:], *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return -1, "", f"`{self.typed(*words)}` did not end within {self._timeout_s} s"
        except OSError as error:
            return -1, "", f"`{self.typed(*words)}`: {error.strerror}"
        return done.returncode, done.stdout, _short(done.stderr)


def _short(told: str) -> str:
    """Return the lines that say what is wrong, in one."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    wrong = [line for line in lines if "[emerg]" in line or "[crit]" in line or "[alert]" in line]
    return "; ".join((wrong or lines)[-_LINES_MOST:])
