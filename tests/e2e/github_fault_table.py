"""``python -m tests.e2e.github_fault_table``: each fault of GitHub at each call, and what came of it, as Markdown."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

import pytest

_HEAD = ("call", "what goes wrong", "ended as", "pull requests", "merges", "asked", "waited, s", "said")
_SHORTER = (
    (re.compile(r"`git [^`]*`"), "`git ...`"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://HOST"),
    (re.compile(r"pipeline/[\w-]+/run-\d+/plans\.p/batch-1-task-1-1"), "BRANCH"),
    (re.compile(r"pipeline/[\w-]+/run-\d+/base"), "BASE"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "SHA"),
    (re.compile(r"\s+"), " "),
    (re.compile(r"\|"), r"\\|"),
)


class Rows:
    """Collects what the tests record."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the rows of a test that has run."""
        if report.when == "call":
            self.rows += [list(map(str, _listed(value))) for name, value in report.user_properties if name == "row"]


def _listed(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def _shorter(text: str) -> str:
    for pattern, words in _SHORTER:
        text = pattern.sub(words, text)
    return text.strip()


def main() -> None:
    """Run the tests and print the table."""
    collected = Rows()
    os.environ["PIPELINE_GITHUB_FAULTS"] = "1"
    place = Path(__file__).with_name("test_github_faults.py")
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([str(place), "-q", "-p", "no:random_order"], [collected])
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    for row in collected.rows:
        print(f"| {' | '.join(map(_shorter, row))} |")


if __name__ == "__main__":
    main()
