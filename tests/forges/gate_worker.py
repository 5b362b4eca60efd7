"""A process that calls through a gate, for tests with several: ``python -m tests.forges.gate_worker``.

Arguments: the gate's directory or the URL of its database, a log, the name of this worker, how many calls, by how many
seconds the machine's clock is wrong, and perhaps a kind: during its calls of that kind it says ``in`` and stays there
until it gets a word. What the worker ``limited`` calls then is a limit. The log gets one line per call: its start and
end by the clock that all processes of a machine share and nobody sets, what it was, whose, and the answer.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

from pytest_pipeline.forges.gate import Gate
from pytest_pipeline.forges.gate_files import FileTurnstile
from pytest_pipeline.forges.gate_limits import CallKind, GateLimits
from pytest_pipeline.forges.gate_opening import open_gate
from tests.forges.gate_desk import ID

SPACING = 0.03
LIMITS = GateLimits(spacing=SPACING, content_per_minute=None, content_per_hour=None, pushes_per_minute=None)
KINDS = (CallKind.READ, CallKind.WRITE, CallKind.CONTENT, CallKind.READ, CallKind.PUSH, CallKind.MERGE)


def gate_at(place: str, repository: str) -> Gate:
    """The gate of a machine, or of all that share a database."""
    if "://" in place:
        return open_gate(place, Path("/nonexistent"), ID, LIMITS, None, repository=repository)
    return Gate(FileTurnstile(Path(place), ID, clock=time.monotonic), LIMITS, repository=repository)


def main(place: str, log: Path, name: str, calls: int, wrong: float, held: str) -> None:
    """Say that one is ready, wait for a word, then call."""
    right = time.time
    time.time = lambda: right() + wrong
    gate = gate_at(place, name)
    print("ready", flush=True)
    sys.stdin.readline()
    with open(log, "a", buffering=1) as lines:  # one write per line: lines of several processes do not mix
        for kind in itertools.islice(itertools.cycle(KINDS), calls):
            with gate.call(kind):
                start = time.monotonic()
                if kind.value == held:
                    print("in", flush=True)
                    sys.stdin.readline()
                limited = kind.value == held and name == "limited"
                gate.heard(429 if limited else 200, {"Retry-After": "1"} if limited else {}, "")
                end = time.monotonic()
                lines.write(f"{start!r} {end!r} {kind} {name} {'limited' if limited else 'good'}\n")
    gate.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), "".join(sys.argv[6:]))
