"""How much N successful runs prove. The unit is the whole run: all tasks of all plans.

Two lower bounds of the success rate, each wrong with a probability of at most 1 - confidence, for independent runs
of one configuration:

* the number of runs was fixed in advance: Clopper & Pearson, Biometrika 26 (1934), 404;
* one may look after each run, and stop or go on as one likes: Ville's inequality (1939) for a mixture of likelihood
  ratios, after Robbins, Annals of Mathematical Statistics 41 (1970), 1397.
"""

from __future__ import annotations

import math
from collections.abc import Callable

CONFIDENCE = 0.95


def lower_bound(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The success rate that is exceeded with this confidence, the number of runs fixed in advance.

    Clopper & Pearson's one-sided bound: the rate at which as many successes or more have the probability
    ``1 - confidence``. With no failure that is ``(1 - confidence) ** (1 / trials)``.

    Args:
        successes: runs that succeeded.
        trials: all runs that were admitted.
        confidence: between 0 and 1.
    """
    _check(successes, trials)
    doubt = 1 - confidence
    if successes == 0:
        return 0.0
    if successes == trials:
        return float(doubt ** (1 / trials))
    return _bisect(lambda rate: at_least(successes, trials, rate) < doubt)


def anytime_lower_bound(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The same when one may look whenever one likes, and stop or go on.

    The rates up to ``p`` are excluded once the likelihood ratio against them, mixed uniformly over the rates above
    ``p``, reaches ``1 / (1 - confidence)``. With no failure in ``n`` runs the mixture is
    ``(1 - p**(n+1)) / ((n+1) * (1-p) * p**n)``.

    Args:
        successes: runs that succeeded.
        trials: all runs that were admitted.
        confidence: between 0 and 1.
    """
    _check(successes, trials)
    if successes == 0:
        return 0.0
    target = -math.log(1 - confidence)
    return _bisect(lambda rate: _log_mixture(successes, trials, rate) > target)


def runs_needed(target: float, failures: int = 0, confidence: float = CONFIDENCE) -> int:
    """Fewest runs, fixed in advance, after which the lower bound reaches a target.

    Args:
        target: the success rate to be proved, between 0 and 1.
        failures: runs that may fail.
        confidence: between 0 and 1.
    """
    if not 0 < target < 1:
        raise ValueError(f"the target must lie between 0 and 1, not {target}")
    runs = max(failures + 1, math.ceil(math.log(1 - confidence) / math.log(target)))
    while at_least(runs - failures, runs, target) > 1 - confidence:
        runs += 1
    return runs


def at_least(successes: int, trials: int, rate: float) -> float:
    """Probability of so many successes or more, each run succeeding at this rate, strictly between 0 and 1."""
    return math.fsum(
        math.exp(_log_choose(trials, hits) + hits * math.log(rate) + (trials - hits) * math.log1p(-rate))
        for hits in range(successes, trials + 1)
    )


def _check(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} runs cannot have succeeded")


def _log_choose(trials: int, hits: int) -> float:
    return math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)


def _log_mixture(successes: int, trials: int, rate: float) -> float:
    """Logarithm of the mixed likelihood ratio; the integral over the rates above is a tail of the binomial law."""
    tail = 1 - at_least(successes + 1, trials + 1, rate)
    if tail <= 0:  # smaller than a float can tell: rates above this one explain nothing
        return -math.inf
    above = math.log(tail) - math.log(trials + 1) - _log_choose(trials, successes)
    failures = trials - successes
    return above - successes * math.log(rate) - (failures + 1) * math.log1p(-rate)


def _bisect(excluded: Callable[[float], bool]) -> float:
    """The highest rate that is excluded, where all lower ones are."""
    low, high = 0.0, 1.0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if excluded(middle) else (low, middle)
    return low
