"""``python -m tests.e2e.failure_table``: what was done, and what came out, as a Markdown table."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest


class Table:
    """Collects what the tests record about each row."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the properties of a test that has run."""
        if report.when == "call":
            self.rows.append({**dict(report.user_properties), "outcome": report.outcome})


def main() -> None:
    """Run the tests and print the table."""
    table = Table()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([str(Path(__file__).with_name("test_failure_kinds.py")), "-q", "-p", "no:random_order"], [table])
    print("| what was done | kind | first line of the message | test |\n|---|---|---|---|")
    for row in table.rows:
        said = str(row.get("message")).replace("|", "\\|")
        print(f"| {row.get('what')} | {row.get('kind')} | {said} | {row['outcome']} |")


if __name__ == "__main__":
    main()
