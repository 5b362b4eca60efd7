"""What the scripts in ``.ci`` run, with programs in place of the real ones that only say what they were told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README_COMMAND = ["pip install -e .[test]", "pytest tests/ -n auto --random-order"]
NIGHT = [
    "pytest -n auto tests/e2e/test_kill_matrix.py tests/e2e/test_github_faults.py",
    "tests.e2e.chaos_seeds --seeds 1-50",
    "tests.e2e.random_plans --examples 100 --seed N",
    "benchmarks soak --runs 1000",
]

_SAYS = r"""#!/bin/sh
test -n "$PIPELINE_KILL_MATRIX$PIPELINE_GITHUB_FAULTS" && whole=" (all)"
echo "${0##*/} $*$whole" >>"$TOLD"
case "${0##*/} $*" in *"$FAILS"*) exit 3 ;; esac
"""
_MAKES_ENVIRONMENT = r"""#!/bin/sh
mkdir -p "$3/bin"
echo "fresh" >>"$TOLD"
echo "PATH=$3/bin:\$PATH" >"$3/bin/activate"
cp "${0%/*}/says" "$3/bin/python"
"""


class Gate:
    """A copy of the scripts, and of nothing else that they would run."""

    def __init__(self, place: Path) -> None:
        self.place = place
        shutil.copytree(ROOT / ".ci", place / ".ci")
        shutil.copy(ROOT / "README.md", place)
        for name in ("says", "initdb", "chromium", "ruff", "mypy", "lint-imports"):
            self._program(name, _SAYS)
        self._program("python3", _MAKES_ENVIRONMENT)
        (place / "tmp").mkdir()

    def _program(self, name: str, text: str) -> None:
        file = self.place / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="ascii")
        file.chmod(0o755)

    def run(self, name: str, fails: str = "nothing") -> tuple[int, list[str], str]:
        """Exit code, what was run in which order, and what was printed."""
        place = self.place
        done = subprocess.run(
            [place / ".ci" / name],
            cwd="/",
            env={
                "PATH": f"{place / 'bin'}:{os.defpath}",
                "TMPDIR": str(place / "tmp"),
                "TOLD": str(place / "told"),
                "FAILS": fails,
            },
            capture_output=True,
            text=True,
        )
        assert list((place / "tmp").iterdir()) == [], "the environment is removed"
        return done.returncode, (place / "told").read_text("ascii").splitlines(), done.stdout + done.stderr


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_a_change_must_pass_the_readmes_command_and_the_linters(gate: Gate) -> None:
    code, told, _ = gate.run("run")

    linters = ["ruff check .", "ruff format --check .", "mypy ", "lint-imports "]
    commands = [f"python -m {each}" for each in (*README_COMMAND, "pip install -e .[lint,test]")]
    assert (code, told) == (0, ["fresh", *commands, *linters])


@pytest.mark.parametrize("fails", ["pytest", "ruff check", "format", "[lint"])
def test_a_change_is_refused_at_the_first_failure(gate: Gate, fails: str) -> None:
    code, told, _ = gate.run("run", "pytest tests" if fails == "pytest" else fails)

    assert code != 0
    assert fails in told[-1]


@pytest.mark.parametrize("fails", ["nothing", *(each.split()[0] for each in NIGHT)])
def test_at_night_everything_runs_and_a_failure_is_not_lost(gate: Gate, fails: str) -> None:
    code, told, printed = gate.run("nightly", fails)

    told = [" ".join("N" if word.isdigit() and len(word) == 7 else word for word in each.split()) for each in told]
    commands = [f"python -m {each} (all)" for each in NIGHT]
    assert told == ["fresh", "python -m pip install -e .[test]", *commands]
    assert (code, [line.split()[3] for line in printed.splitlines() if line.startswith("FAILED: ")]) == (
        (0, []) if fails == "nothing" else (1, [fails])
    )
