"""Does the canary fail more often than the control arm does in the same time? Evidence that may be looked at any time.

Of x errors of N canary requests and y of M control requests in one look, the factor

    A**x * B**y * exp(-d * N * (A - 1)),  with  A = r(zN + M) / (rzN + M)  and  B = (zN + M) / (rzN + M)

has an expectation of at most 1 wherever canary requests of the look fail on average with at most z times the control's rate plus d (r > 1),
or with at least that (r < 1): the expectation of A**x * B**y is at most exp(Np(A-1) + Mq(B-1)), as 1 + t <= exp(t), and
zN(A-1) + M(B-1) = 0 whatever q is. So q may be unknown, change from look to look, and differ among requests: an incident
that both arms have is no evidence. With d = 0 it is the ratio of binomial likelihoods given the errors of both arms
(x of x + y with rzN / (rzN + M) against zN / (zN + M)). Requests have to fail independently of each other: retries of one
client do not (`retries`).

Source: Lindon, Malek: Anytime-valid inference for multinomial count data (NeurIPS 2022) for the conditioning.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from backout.document import Document
from backout.guard.evidence import carried_on, log_e, log_mean, smallest
from backout.guard.looks import NOBODY, Arm

WORSE = (1.25, 1.7, 2.5, 4.0, 8.0, 30.0, 1e6)
"""So many times what is allowed, each with the same weight; the last one: errors of the canary alone."""
BETTER = (0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1, 0.03, 1e-3)
"""So many times what is tolerated, when it is to be shown that the canary is fine."""

_WORSE = [(times, math.log(times)) for times in WORSE]
_BETTER = [(times, math.log(times)) for times in BETTER]


class Compared(Document):
    """Evidence of one metric in two arms: plain data, to be kept and gone on with.

    Attributes:
        worse_by: More than 1 + this times the control's rate is harm.
        looks: In so many looks both arms had requests.
        canary, control: Counted in these.
        worse: Logarithms of the evidence of harm, by size.
        better, room: Logarithms and exponents of the evidence that nothing is wrong.
    """

    kind: Literal["errors"] = "errors"
    worse_by: float = Field(ge=0)
    looks: int = 0
    canary: Arm = NOBODY
    control: Arm = NOBODY
    worse: tuple[float, ...] = ()
    better: tuple[float, ...] = (0.0,) * len(BETTER)
    room: tuple[float, ...] = (0.0,) * len(BETTER)

    def add(self, canary: Arm, control: Arm) -> Compared:
        """Return the evidence with one more look, whose requests ended in the same time in both arms.

        A look in which one arm had no request compares nothing, and is left out. To keep it for the next one would compare
        requests of different times.
        """
        if not canary.requests or not control.requests:
            return self
        allowed, looks = 1 + self.worse_by, self.looks + 1
        return self.model_copy(
            update={
                "looks": looks,
                "canary": self.canary + canary,
                "control": self.control + control,
                "worse": carried_on(self.worse, log_factors(canary, control, allowed, _WORSE), looks),
                "better": tuple(map(operator.add, self.better, log_factors(canary, control, 1.0, _BETTER))),
                "room": tuple(map(operator.add, self.room, _room(canary.requests, control.requests))),
            }
        )

    @property
    def log_harm(self) -> float:
        """The logarithm of the evidence that the canary fails more often than is allowed."""
        return log_e(self.worse, self.looks)

    def log_fine(self, tolerated: float) -> float:
        """Return the logarithm of the evidence that the canary's rate is less than `tolerated` above the control's."""
        return log_mean([log + tolerated * room for log, room in zip(self.better, self.room, strict=True)])

    def is_harmful(self, alpha: float) -> bool:
        """Tell whether it fails too often; wrong with a chance of at most alpha, over all looks together."""
        return self.log_harm >= -math.log(alpha)

    def is_fine(self, tolerated: float, alpha: float) -> bool:
        """Tell whether its rate is less than `tolerated` above the control's; wrong with at most alpha, over all looks."""
        return self.log_fine(tolerated) >= -math.log(alpha)

    def at_most(self, alpha: float) -> float:
        """Return how much higher the canary's rate is at most (1: nothing is known); wrong with at most alpha."""
        return smallest(lambda more: self.is_fine(more, alpha), -1.0, 1.0)


def log_factors(
    canary: Arm, control: Arm, allowed: float, sizes: Sequence[tuple[float, float]]
) -> list[float]:
    """Return the logarithms of what one look says for so many times the allowed ratio of rates, against that ratio.

    Args:
        canary: Of the look; has requests.
        control: Of the same time; has requests.
        allowed: The ratio of rates that is the hypothesis.
        sizes: So many times that, each with its logarithm.
    """
    errors, both = canary.errors, canary.errors + control.errors
    base, rest = allowed * canary.requests, control.requests
    log, whole = math.log, allowed * canary.requests + control.requests
    return [errors * log_times + both * log(whole / (times * base + rest)) for times, log_times in sizes]


def _room(canary: int, control: int) -> list[float]:
    """Return N(1 - A) for each of `BETTER`."""
    both = canary + control
    return [canary * (1 - times * both / (times * canary + control)) for times in BETTER]
