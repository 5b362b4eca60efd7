from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record import junit
from pytest_pipeline.record.criterion import judge
from pytest_pipeline.record.evidence import anytime_lower_bound, lower_bound
from pytest_pipeline.record.model import (
    AttemptRecord,
    Outcome,
    RunRecord,
    SessionRecord,
    TaskRunKey,
    TaskRunRecord,
)
from tests.record.conftest import at

KEY = TaskRunKey("S", 3, "plans/hello.md", "batch-1", "1.1")
SESSION = SessionRecord(
    "S", at(0), 2, 2, {"agent": "reference", "base_commit": "abc", "forge": "local", "repository": "/r", "os": "linux"}
)
EVERYTHING = {name: f"the {name}" for name in junit.ATTEMPT_FACTS}


def task_run(properties: dict[str, str], kind: FailureKind | None = None) -> TaskRunRecord:
    outcome = Outcome.FAILED if kind else Outcome.PASSED
    attempts = (
        AttemptRecord(1, at(1), Outcome.FAILED, at(2), FailureKind.FORGE, "", {"branch": "old", "cost_usd": "0.25"}),
        AttemptRecord(2, at(3), outcome, at(4), kind, "", properties),
    )
    return TaskRunRecord(KEY, "Create it", outcome, "", attempts)


def runs(*outcomes: Outcome) -> list[RunRecord]:
    return [RunRecord("S", number, number, at(number), each, at(number)) for number, each in enumerate(outcomes, 1)]


def test_a_failed_task_run_has_every_documented_property_in_the_documented_order() -> None:
    found = junit.testcase_properties(SESSION, task_run(EVERYTHING, FailureKind.VERIFICATION))
    assert [name for name, _ in found] == [f"pipeline.{name}" for name in junit.TESTCASE_PROPERTIES]
    told = dict(found)
    assert told["pipeline.session"] == "S"
    assert told["pipeline.run"] == "3"
    assert told["pipeline.plan"] == "plans/hello.md"
    assert told["pipeline.task"] == "1.1"
    assert told["pipeline.attempt"] == "2"
    assert told["pipeline.failure_kind"] == "verification"
    assert told["pipeline.branch"] == "the branch"


def test_what_several_attempts_cost_is_told_together() -> None:
    told = dict(junit.testcase_properties(SESSION, task_run({"cost_usd": "0.10"})))
    assert (told["pipeline.cost_usd"], told["pipeline.cost_usd_all_attempts"]) == ("0.10", "0.35")
    once = TaskRunRecord(KEY, "Create it", Outcome.PASSED, "", task_run({"cost_usd": "0.10"}).attempts[1:])
    assert "pipeline.cost_usd_all_attempts" not in dict(junit.testcase_properties(SESSION, once))


def test_what_is_not_known_has_no_property() -> None:
    names = [name for name, _ in junit.testcase_properties(SESSION, task_run({}))]
    assert "pipeline.failure_kind" not in names
    assert "pipeline.cost_usd" not in names


def test_what_the_attempt_does_not_say_the_session_says() -> None:
    told = dict(junit.testcase_properties(SESSION, task_run({"agent": "claude"})))
    assert (told["pipeline.agent"], told["pipeline.base_commit"]) == ("claude", "abc")


def test_what_holds_for_some_tasks_of_a_session_is_not_said_of_each() -> None:
    facts = {"agent": "claude (rehearsal), reference", "rehearsal": "scripted", "model": "m-1", "agent_version": "7"}
    told = dict(junit.testcase_properties(SessionRecord("S", at(0), 2, 2, facts), task_run({"agent": "reference"})))
    assert told.keys() & {"pipeline.rehearsal", "pipeline.model", "pipeline.agent_version"} == set()


def test_an_attempt_cannot_say_that_it_is_another() -> None:
    lies = {"session": "X", "run": "9", "plan": "x", "task": "x", "outcome": "passed", "attempt": "9"}
    lies["failure_kind"] = "forge"
    told = dict(junit.testcase_properties(SESSION, task_run(lies, FailureKind.AGENT)))
    assert (told["pipeline.session"], told["pipeline.run"], told["pipeline.task"]) == ("S", "3", "1.1")
    assert (told["pipeline.outcome"], told["pipeline.attempt"]) == ("failed", "2")
    assert told["pipeline.failure_kind"] == "agent"


def test_a_skipped_task_run_has_properties_too() -> None:
    told = dict(junit.testcase_properties(SESSION, TaskRunRecord(KEY, "Create it", Outcome.COMPLETED)))
    assert told["pipeline.outcome"] == "completed"
    assert "pipeline.attempt" not in told


def test_facts_of_a_users_hook_come_last_by_the_alphabet() -> None:
    found = junit.testcase_properties(SESSION, task_run({"zebra": "1", "apple": "2", "branch": "b"}))
    assert [name for name, _ in found][-3:] == ["pipeline.branch", "pipeline.apple", "pipeline.zebra"]


def test_a_value_that_is_a_file_is_cut() -> None:
    told = dict(junit.testcase_properties(SESSION, task_run({"undeclared": "x" * 100_000})))
    assert len(told["pipeline.undeclared"]) == junit.LONGEST_VALUE
    assert told["pipeline.undeclared"].endswith("... (100000 characters)")


def test_a_met_criterion_is_told_with_the_bound_for_runs_fixed_in_advance() -> None:
    told = dict(junit.suite_properties(SESSION, judge(runs(*[Outcome.PASSED] * 2), 2, 2)))
    assert told["pipeline.session"] == "S"
    assert (told["pipeline.forge"], told["pipeline.repository"], told["pipeline.os"]) == ("local", "/r", "linux")
    assert (told["pipeline.criterion.required"], told["pipeline.criterion.streak"]) == ("2", "2")
    assert told["pipeline.criterion.met"] == "yes"
    assert told["pipeline.lower_bound"] == "0.2236"
    assert told["pipeline.lower_bound_rule"] == "runs fixed in advance"


def test_runs_that_succeeded_by_a_new_draw_are_told_and_lower_both_bounds() -> None:
    verdict = judge(runs(*[Outcome.PASSED] * 3), 3, 3, redrawn={2})
    told = dict(junit.suite_properties(SESSION, verdict))
    assert (told["pipeline.criterion.met"], told["pipeline.runs.successful"]) == ("yes", "3")
    assert told["pipeline.runs.redrawn"] == "1"
    assert told["pipeline.lower_bound"] == f"{lower_bound(2, 3):.4f}"
    assert told["pipeline.lower_bound_anytime"] == f"{anytime_lower_bound(2, 3):.4f}"
    assert told["pipeline.lower_bound_rule"] == "runs fixed in advance"
    assert "pipeline.runs.redrawn" not in dict(junit.suite_properties(SESSION, judge([], 1, 1)))


def test_a_session_that_stopped_by_its_results_gets_the_bound_for_looking_whenever() -> None:
    verdict = judge(runs(Outcome.FAILED, Outcome.PASSED, Outcome.PASSED), 2, 10)
    told = dict(junit.suite_properties(SESSION, verdict))
    assert told["pipeline.criterion.met"] == "yes"
    assert told["pipeline.lower_bound"] == told["pipeline.lower_bound_anytime"]
    assert told["pipeline.lower_bound_rule"] == "looking whenever one likes"


def test_the_order_of_its_runs_is_told_where_the_number_of_admitted_ones_does_not_tell_it() -> None:
    verdict = judge(runs(Outcome.PASSED, Outcome.PASSED), 2, 2)
    assert "pipeline.runs.order" not in dict(junit.suite_properties(SESSION, verdict))
    counted = replace(SESSION, facts={"history": "R, S"})
    assert dict(junit.suite_properties(counted, verdict))["pipeline.runs.order"] == "1 2"


def test_a_history_is_never_cut() -> None:
    long = ", ".join(["20260102-030405-abcdef"] * 200)
    counted = replace(SESSION, facts={"history": long})
    assert dict(junit.suite_properties(counted, judge([], 1, 1)))["pipeline.history"] == long


def test_a_session_without_runs_proves_nothing() -> None:
    told = dict(junit.suite_properties(SESSION, judge([], 2, 2)))
    assert (told["pipeline.criterion.met"], told["pipeline.lower_bound"]) == ("no", "0.0000")


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("\x1b[31mred\x00", "\\x1b[31mred\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("\ud800 \udcff", "\\ud800 \\udcff"),
        ("\ufffe\uffff", "\\ufffe\\uffff"),
        ("\t\n ok ü 漢 🎉 \ufffd", "\t\n ok ü 漢 🎉 \ufffd"),
    ],
)
def test_what_xml_forbids_is_escaped(dirty: str, expected: str) -> None:
    assert junit.clean(dirty) == expected


anything = st.text(st.characters(exclude_categories=()))


@given(anything)
def test_a_clean_text_survives_xml_and_is_clean_for_ever(text: str) -> None:
    cleaned = junit.clean(text)
    assert junit.clean(cleaned) == cleaned
    element = ET.Element("property", value=cleaned)
    file = io.BytesIO()
    ET.ElementTree(element).write(file, encoding="utf-8", xml_declaration=True)
    assert ET.fromstring(file.getvalue()).get("value") == cleaned


@given(st.dictionaries(anything, anything, max_size=5))
def test_properties_are_texts_that_xml_takes(properties: dict[str, str]) -> None:
    for name, value in junit.testcase_properties(SESSION, task_run(properties)):
        assert name == junit.clean(name)
        assert value == junit.clean(value)
        assert type(name) is type(value) is str
