"""The page about the agent claude is true: what it names can be set, and every status is there."""

from __future__ import annotations

from pytest_pipeline.agents.base import AgentStatus
from pytest_pipeline.agents.claude.executable import OLDEST_TESTED
from pytest_pipeline.agents.claude.live import _DIRECT
from pytest_pipeline.options import BY_NAME
from pytest_pipeline.settings import Settings
from tests.test_docs import PAGES, table

PAGE = PAGES["docs/claude.md"]
OWN = ("model", "turns", "budget_usd", "wall_time", "max_cost", "agent_retries", "allowed_tools", "permission_mode")
TEXTS = ("effort", "append_system_prompt", "project_instructions", "protected_paths")


def test_its_table_of_options_is_true_and_complete() -> None:
    told = {tuple(row[:3]) for row in table(PAGE, "option")}
    expected = set()
    for name in (*OWN, *TEXTS):
        option = BY_NAME[name]
        flag = f"{option.flag} {option.metavar}" if option.flag else ""
        expected.add((flag, f"pipeline_{name}", option.plan_key or ""))
    assert told == expected


def test_every_status_is_explained() -> None:
    assert [status for status, *_ in table(PAGE, "status")] == [
        *("ok", "failed", "timeout", "turns", "budget", "unavailable")
    ]
    assert {status for status, *_ in table(PAGE, "status")} == {str(status) for status in AgentStatus}


def test_what_it_says_of_versions_logins_and_protected_paths_is_so() -> None:
    assert f"was tested with is {'.'.join(map(str, OLDEST_TESTED))};" in PAGE
    assert all(f"`{name}`" in PAGE for name in _DIRECT)
    paragraph = PAGE.partition("**Protected paths.**")[2].partition("\n\n")[0]
    assert all(f"`{path.lstrip('/')}`" in paragraph for path in Settings().protected_paths)
