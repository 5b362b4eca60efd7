"""``python -m tests.e2e.chaos_seeds --seeds 1-50``: the example plans under each seed, and what became of every fault.

Each seed is one pytest of its own with two workers, on the embedded forge, and afterwards ``verify`` holds its record
against git and the forge. It ends with 0 when nothing came as a surprise and every record was confirmed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.record.chaos import Reckoning, reckon
from pytest_pipeline.record.store import Store

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Seeded:
    """What one seed brought."""

    seed: int
    exit_code: int
    verified: int
    reckoning: Reckoning
    text: str

    @property
    def is_good(self) -> bool:
        """Whether all went as it must."""
        return not (self.exit_code or self.verified or self.reckoning.surprises)

    @property
    def row(self) -> str:
        """As a row of the table."""
        told = self.reckoning
        faults = ", ".join(f"{name} {number}" for name, number in told.injected.items())
        counts = f"{sum(told.injected.values())} | {told.absorbed} | {told.failed} | {len(told.surprises)}"
        return f"| {self.seed} | {counts} | {self.exit_code} | {self.verified} | {faults} |"


def run_seed(seed: int, place: Path, more: Sequence[str]) -> Seeded:
    """Run the example plans under a seed; what it leaves is removed."""
    state = place / f"state-{seed}"
    options = ("plans/", "--agent", "reference", "--count", "1", "-n", "2", "--chaos", str(seed), "-q", *more)
    ini = (f"pipeline_state_dir={state}", "pipeline_max_transcript=1 MiB", "pipeline_keep_workspaces=never")
    inis = [f"--override-ini={each}" for each in ini]
    done = _python("pytest", *options, "-p", "no:cacheprovider", *inis)
    with Store.open(f"sqlite:///{state / 'state.db'}") as store:
        sessions = store.sessions()
        reckoning = reckon(store.task_runs(sessions[-1].id) if sessions else ())
    verified = _python("pytest_pipeline", "verify", "latest", *inis)
    shutil.rmtree(state)
    return Seeded(seed, done.returncode, verified.returncode, reckoning, done.stdout + verified.stdout)


def _python(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = (sys.executable, "-m", module, *arguments)
    return subprocess.run(argv, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def main() -> None:
    """Run the seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-50", help="the first and the last (default: %(default)s)")
    options, more = parser.parse_known_args()
    first, _, last = options.seeds.partition("-")
    print("| seed | faults | absorbed | failed as expected | surprises | exit code | of verify | which |")
    print("|---|---|---|---|---|---|---|---|")
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        for seed in range(int(first), int(last or first) + 1):
            found = run_seed(seed, Path(place), more)
            print(found.row, flush=True)
            if not found.is_good:
                bad += 1
                print(found.text, file=sys.stderr, flush=True)
    print(f"{bad} seeds brought a surprise, or a record that was not confirmed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
