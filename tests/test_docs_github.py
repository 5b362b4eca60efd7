"""The page about the forge github is true: what it names can be set, found, written into templates, and reckoned."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.events import TaskReference
from pytest_pipeline.execution import pull_request, templates
from pytest_pipeline.forges.base import ChecksRule as Rule
from pytest_pipeline.forges.gate import gate_directory
from pytest_pipeline.forges.gate_budget import Cost, budget
from pytest_pipeline.forges.gate_limits import PACES, limits_of
from pytest_pipeline.forges.gate_state import State
from pytest_pipeline.forges.github import answers, texts
from pytest_pipeline.forges.github.token import TOKEN_VARIABLES
from pytest_pipeline.forges.github.waiting import Patience
from pytest_pipeline.options import BY_NAME, OPTIONS
from pytest_pipeline.settings import Settings
from tests.test_docs import PAGES, ROOT, below, blocks, only_task, table

PAGE = PAGES["docs/github.md"]
PROSE = " ".join(PAGE.split())
OWN = ("forge", "repo", "base", "github_api", "token_file", "forge_pace", "forge_time", "merge_method", "auto_merge")
MORE = ("checks", "checks_time", "pull_request_title", "pull_request_template", "record_url", "author")


def test_its_table_of_options_is_true() -> None:
    told = [tuple(row[:3]) for row in table(PAGE, "option")]
    expected = []
    for name in (*OWN, *MORE):
        option = BY_NAME[name]
        flag = f"{option.flag} {option.metavar}".rstrip() if option.flag else ""
        expected.append((flag, f"pipeline_{name}", option.plan_key or ""))
    assert told == expected


def test_every_option_that_it_names_exists() -> None:
    known = {option.flag for option in OPTIONS} | {"--junitxml", "--dry-run"}
    cleaning = {"--yes", "--older-than", "--session"}
    prose = PAGE.replace("|---", "")
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", prose)) <= known | cleaning
    keys = re.findall(r"`pipeline_(\w+)`", PAGE)
    assert set(keys) <= set(BY_NAME)


def test_every_rule_of_checks_and_every_pace_is_explained() -> None:
    assert [rule for rule, _ in table(PAGE, "`--checks`")] == [str(rule) for rule in Rule]
    assert [pace for pace, *_ in table(PAGE, "pace")] == list(PACES)


@pytest.mark.parametrize("pace", PACES)
def test_the_figures_of_a_pace_are_those_that_are_kept(pace: str) -> None:
    limits = limits_of(pace)
    (row,) = (row for row in table(PAGE, "pace") if row[0] == pace)
    contents = f"{limits.content_per_minute} a minute, {limits.content_per_hour} an hour"
    assert row[1:4] == [
        f"{limits.spacing:.0f} s" if limits.spacing else "none",
        "no limit" if limits.content_per_minute is None else contents,
        "no limit" if limits.pushes_per_minute is None else f"{limits.pushes_per_minute} a minute",
    ]
    for tasks, told in zip((100, 1000), row[4:], strict=True):
        sentence = budget(tasks, limits, State(), 0.0, allowed=float("inf"), cost=Cost()).sentence
        assert f"at least {told} (" in sentence


def test_the_permissions_are_those_that_a_refusal_asks_for() -> None:
    permissions = {name: access for name, access, _ in table(PAGE, "permission")}
    assert {name for name, access in permissions.items() if access == "Read and write"} == {
        "Contents",
        "Pull requests",
        "Workflows",
    }
    said = answers.refusal("open it", answers.Answer(403, message="Resource not accessible by personal access token"))
    assert "(contents: write and pull requests: write)" in said


def test_it_tells_the_variables_in_their_order() -> None:
    section = below(PAGE, "The token").partition("3. ")[0]
    told = list(dict.fromkeys(re.findall(r"`((?:GH|GITHUB)_\w*TOKEN)`", section)))
    assert told == list(TOKEN_VARIABLES)


def test_the_page_knows_where_the_gate_is() -> None:
    assert f"`{gate_directory({'HOME': '~'})}`" in PAGE
    assert f"`$XDG_STATE_HOME{gate_directory({'XDG_STATE_HOME': '/'})}`" in PAGE


def test_times_and_lengths_are_those_of_the_code() -> None:
    assert (Patience().start, Patience().outage) == (180, 120)
    assert "has not started within three minutes" in PROSE
    assert "waited out for two minutes" in PROSE
    assert f"cut at {texts.LONGEST_TITLE} characters, a text at {texts.LONGEST_BODY:,}" in PROSE
    assert limits_of("careful").strikes == 6
    assert "After six times in a row" in PROSE
    assert texts.marker("BRANCH") in PROSE
    assert Settings().pull_request_title in PAGE


def test_every_variable_of_the_templates_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: dict[str, object] = {}

    def note(text: str, variables: Mapping[str, object], *, ini_key: str) -> str:
        given.update(variables)
        return text

    monkeypatch.setattr(pull_request, "render_text", note)
    reference = TaskReference("s", 1, "plans/p.md", "1", "1", "Title", 1)
    pull_request.describe(only_task(), reference, Settings(), subject="Title", agent="reference", rootdir=tmp_path)
    told = dict(table(PAGE, "variable"))
    assert set(told) == set(given)
    fields = {field.name for field in dataclasses.fields(only_task())}
    assert set(re.findall(r"`(id|title|prompt|files|commit_subject)`", told["task"])) <= fields


def test_every_block_and_filter_of_the_template_is_named() -> None:
    ours = (ROOT / "pytest_pipeline/execution/pull_request.md.j2").read_text("utf-8")
    sentence = PROSE.partition("Its blocks are ")[2].partition(".")[0]
    assert re.findall(r"`(\w+)`", sentence) == re.findall(r"{% block (\w+) %}", ours)
    assert {"quiet", "fenced"} <= set(templates._environment(None).filters)


def test_the_kinds_of_failure_exist() -> None:
    assert {kind for kind, _ in table(PAGE, "kind")} <= {kind.value for kind in FailureKind}


def test_the_options_of_its_workflow_exist_and_the_token_is_in_no_pytest() -> None:
    (text,) = blocks(PAGE, "yaml")
    steps = yaml.safe_load(text)["jobs"]["prove"]["steps"]
    (command,) = (step for step in steps if "pytest plans/" in step.get("run", ""))
    known = {option.flag for option in OPTIONS} | {"--junitxml", "--dry-run"}
    assert {flag.partition("=")[0] for flag in re.findall(r"--[a-z]\S+", command["run"])} <= known
    assert not any("TOKEN" in name for name in command["env"])
