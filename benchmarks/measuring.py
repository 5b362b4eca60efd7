"""Children side by side on a noisy machine: interleaved rounds, medians, ratios of what ran in the same minutes."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Sample = TypeVar("Sample")

_PASSED_ON = ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Usage:
    """What one child took: wall-clock seconds, seconds of processor time, and its peak of resident memory in MiB."""

    seconds: float
    processor: float
    memory: float


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A child's environment: no plugin but those that are named, none of the caller's settings, no personal git."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    fixed = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    return {**kept, **fixed, **(extra or {})}


def measure(
    argv: Sequence[str], cwd: Path, extra: Mapping[str, str] | None = None, *, codes: Sequence[int] = (0,)
) -> Usage:
    """Run a child to its end and say what it took.

    Args:
        argv: program and arguments.
        cwd: its working directory.
        extra: environment variables besides the fixed ones.
        codes: exit codes that are fine.

    Raises:
        SystemExit: it ended with another one; what it printed is shown.
    """
    with tempfile.TemporaryFile() as output:
        since = time.perf_counter()
        child = subprocess.Popen(
            argv, cwd=cwd, env=environment(extra), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - since
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in codes:
            output.seek(0)
            raise SystemExit(f"{' '.join(argv)} ended with {child.returncode}:\n{output.read().decode()[-4000:]}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def interleaved(rounds: int, cases: Mapping[str, Callable[[], Sample]]) -> dict[str, list[Sample]]:
    """The samples of every case, taken in turns; one more round comes before, to warm caches, and is not kept.

    Each round begins with another case, so that none always follows the same one.
    """
    names = list(cases)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            sample = cases[name]()
            if turn:
                samples[name].append(sample)
    return samples


def median(values: Sequence[float]) -> float:
    """The median, of what one noisy neighbour cannot spoil."""
    return statistics.median(values)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios within rounds: what disturbs a whole round disturbs both."""
    return median([mine / other for mine, other in zip(ours, theirs, strict=True)])


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a small table, the first column to the left and the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    print(f"\n{title}")
    for row in (head, ["-" * width for width in widths], *rows):
        first, *rest = (
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip(), flush=True)


def arguments(description: str, rounds: int) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"interleaved rounds (default: {rounds})")
    parser.add_argument(
        "--where", type=Path, default=default_place(), help="directory to work in (default: %(default)s)"
    )
    return parser


def default_place() -> Path:
    """Memory where there is such a directory: on some disks repeated checkouts drown everything else."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


@contextmanager
def workshop(where: Path) -> Iterator[Path]:
    """A directory of our own, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="pipeline-benchmark-", dir=where) as path:
        yield Path(path).resolve()
