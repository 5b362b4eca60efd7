from __future__ import annotations

from typing import Any

import pytest

from pytest_pipeline.forges.base import ChecksRule
from pytest_pipeline.forges.github.checks import (
    Check,
    Outcome,
    judge,
    of_check_run,
    of_status,
    required_by_protection,
    required_by_rules,
)

GREEN = Check("tests", Outcome.PASSED, "success")
RED = Check("lint", Outcome.FAILED, "failure", "https://ci.example/1")
RUNNING = Check("docs", Outcome.PENDING, "in_progress")


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("success", Outcome.PASSED),
        ("failure", Outcome.FAILED),
        ("error", Outcome.FAILED),
        ("pending", Outcome.PENDING),
        ("a new word", Outcome.PENDING),
    ],
)
def test_a_status_is_what_its_state_says(state: str, outcome: Outcome) -> None:
    check = of_status({"context": "tests", "state": state, "target_url": None})
    assert check == Check("tests", outcome, state)


@pytest.mark.parametrize(
    ("status", "conclusion", "outcome"),
    [
        ("completed", "success", Outcome.PASSED),
        ("completed", "neutral", Outcome.PASSED),
        ("completed", "skipped", Outcome.PASSED),
        ("completed", "failure", Outcome.FAILED),
        ("completed", "cancelled", Outcome.FAILED),
        ("completed", "timed_out", Outcome.FAILED),
        ("completed", "action_required", Outcome.FAILED),
        ("completed", "a new word", Outcome.FAILED),
        ("completed", None, Outcome.PENDING),
        ("queued", None, Outcome.PENDING),
        ("in_progress", "success", Outcome.PENDING),
        ("waiting", None, Outcome.PENDING),
    ],
)
def test_a_check_run_has_ended_only_when_it_is_completed(status: str, conclusion: str | None, outcome: Outcome) -> None:
    check = of_check_run({"name": "tests", "status": status, "conclusion": conclusion, "html_url": "u"})
    assert (check.name, check.outcome, check.url) == ("tests", outcome, "u")


@pytest.mark.parametrize(
    ("rule", "checks", "required", "outcome"),
    [
        (ChecksRule.NONE, [RED], ["lint"], Outcome.PASSED),
        (ChecksRule.ALL, [], [], Outcome.PENDING),
        (ChecksRule.ALL, [GREEN], [], Outcome.PASSED),
        (ChecksRule.ALL, [GREEN, RUNNING], [], Outcome.PENDING),
        (ChecksRule.ALL, [GREEN, RUNNING, RED], [], Outcome.FAILED),
        (ChecksRule.ALL, [GREEN], ["docs"], Outcome.PENDING),
        (ChecksRule.REQUIRED, [], [], Outcome.PASSED),
        (ChecksRule.REQUIRED, [], ["tests"], Outcome.PENDING),
        (ChecksRule.REQUIRED, [GREEN, RED], ["tests"], Outcome.PASSED),
        (ChecksRule.REQUIRED, [GREEN, RED], ["tests", "lint"], Outcome.FAILED),
        (ChecksRule.REQUIRED, [GREEN, RUNNING], ["tests", "docs"], Outcome.PENDING),
        (ChecksRule.REQUIRED, [GREEN, Check("tests", Outcome.FAILED, "failure")], ["tests"], Outcome.FAILED),
    ],
)
def test_checks_are_held_against_the_rule(
    rule: ChecksRule, checks: list[Check], required: list[str], outcome: Outcome
) -> None:
    assert judge(rule, checks, required).outcome is outcome


def test_a_verdict_names_what_is_not_green() -> None:
    verdict = judge(ChecksRule.ALL, [GREEN, RED, RUNNING], ["deploy"])
    assert verdict.describe() == (
        "lint ended as failure (https://ci.example/1), docs has not ended, deploy has not started"
    )
    assert judge(ChecksRule.ALL, []).describe() == "no check has started"


def test_required_names_come_from_rulesets_and_from_protection() -> None:
    rules: list[dict[str, Any]] = [
        {"type": "pull_request"},
        {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "tests"}]}},
        {"type": "required_status_checks"},
    ]
    assert required_by_rules(rules) == {"tests"}
    assert required_by_protection({"protection": {"required_status_checks": {"contexts": ["lint"]}}}) == {"lint"}
    assert required_by_protection({"protected": False, "protection": {"required_status_checks": None}}) == set()
