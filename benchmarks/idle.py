"""What the plugin costs a project that has no plans: pytest on one trivial test, with and without it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.measuring import Usage, arguments, interleaved, measure, median, table, workshop

NOTHING = "nothing"
"""A plugin without content: to name a plugin costs a look through what is installed, whichever it is."""

PLUGINS = {
    "pytest alone": NOTHING,
    "with pytest-pipeline": "pytest_pipeline.plugin",
    "with pytest-repeat": "pytest_repeat",
    "with pytest-xdist": "xdist.plugin",
}


def run(project: Path, plugin: str) -> Usage:
    """One pytest."""
    return measure((sys.executable, "-m", "pytest", "-q", "-p", plugin), project, {"PYTHONPATH": str(project)})


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", rounds=21).parse_args(words)
    with workshop(options.where) as project:
        (project / f"{NOTHING}.py").touch()
        (project / "test_one.py").write_text("def test_one():\n    assert True\n", "utf-8")
        cases: dict[str, Callable[[], Usage]] = {
            name: partial(run, project, plugin) for name, plugin in PLUGINS.items()
        }
        samples = interleaved(options.rounds, cases)
    alone = samples["pytest alone"]
    rows = []
    for name, usages in samples.items():
        pairs = list(zip(usages, alone, strict=True))
        more = median([mine.seconds - bare.seconds for mine, bare in pairs])
        work = median([mine.processor - bare.processor for mine, bare in pairs])
        rows.append(
            (
                name,
                f"{median([each.seconds for each in usages]) * 1000:.0f}",
                f"{more * 1000:+.1f}",
                f"{work * 1000:+.1f}",
            )
        )
    table(f"idle: 1 trivial test, {options.rounds} rounds", ("", "ms", "more ms", "more ms of processor"), rows)
    print("target: at most 10 ms more")


if __name__ == "__main__":
    main()
