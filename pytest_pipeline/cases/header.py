"""The header of a session: who does the work, on what, where the record is, and what to know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.execution.cast import REFERENCE
from pytest_pipeline.record.junit import clean

if TYPE_CHECKING:
    from pytest_pipeline.execution.opening import Opened


def header(opened: Opened, count: int) -> list[str]:
    """The lines.

    Args:
        opened: the open session.
        count: how many runs are planned.
    """
    target, facts = opened.target, opened.facts
    lines = [
        f"session {opened.pipeline.session}, {count} run{'s' if count > 1 else ''}, "
        f"agent {_agent(facts['agent'], facts.get('agent_version', ''))}, forge {facts['forge']}",
        f"repository {target.name}, base commit {facts['base_commit'][:12]}",
        *opened.notes,
    ]
    if opened.pipeline.resumed:
        lines.insert(0, f"session {opened.pipeline.session} is resumed: what has ended in it is told again, not done")
    if "chaos" in facts:
        lines.append(
            f"CHAOS ({facts['chaos']}): faults are injected on purpose; such a session never meets a criterion"
        )
    if REFERENCE in facts["agent"].split(", "):
        lines.append("the reference agent replays the plan's own solutions; no model takes part")
    lines += [
        f"the base commit holds {path} with its references, so the agent can read the solutions there"
        for path in opened.readable
    ]
    if target.dirty:
        lines.append("the checkout has changes that are not committed; no run will see them")
    return [f"pipeline: {clean(line)}" for line in lines]


def _agent(names: str, versions: str) -> str:
    """Names and versions; where there are several agents, each version stands with its name already."""
    if not versions or names == REFERENCE:  # whose version is that of this package
        return names
    return f"{names} {versions}" if ", " not in names else f"{names} ({versions})"
