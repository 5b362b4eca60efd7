"""Records as anybody may have written them: what they claim, and where they contradict themselves."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

import pytest

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.record.claims import Claim, Record, read_record
from pytest_pipeline.record.model import Outcome, TaskRunKey
from tests.record.claiming import claim, lies, record

MET = record(claim(1), claim(2), required=2, streak=2, admitted=2, successful=2)


@pytest.mark.parametrize(
    "honest",
    [
        MET,
        record(claim(1, "failed"), claim(2), claim(3), required=2, streak=2, admitted=3, successful=2),
        record(claim(1), claim(2, "skipped"), required=2, streak=0, admitted=2, successful=1),
        record(claim(1), claim(2, "skipped"), required=2, streak=1, admitted=1, successful=1),
        record(claim(1), claim(2, "completed"), required=2, streak=2, admitted=2, successful=2),
        record(
            claim(1, "failed", shown="passed"),
            claim(1, attempt=2, draws="1"),
            required=1,
            streak=1,
            admitted=1,
            successful=1,
        ),
        record(claim(1, attempt=2, draws="2"), required=1, streak=1, admitted=1, successful=1, runs__redrawn="1"),
        record(claim(1, "failed", attempt=2, draws="2"), required=1, streak=0, admitted=1, successful=0),
        record(claim(1, "failed", shown="skipped"), required=1, streak=0, admitted=1, successful=0),
        record(claim(1), claim(2, "failed"), required=1, streak=1, admitted=2, successful=1, runs__order="2 1"),
        record(claim(1), required=1, streak=0, admitted=1, successful=0, unreadable="bad.md"),
        record(claim(1), claim(2), required=2, streak=2, admitted=2, successful=2, chaos="7", criterion__met="no"),
    ],
)
def test_an_honest_record_agrees_with_itself(honest: Record) -> None:
    assert lies(honest) == []


@pytest.mark.parametrize(
    ("dishonest", "said"),
    [
        (
            record(claim(1, "failed"), claim(2), required=2, streak=2, admitted=2, successful=1),
            "The record says criterion.streak 2; from its test cases follows 1.",
        ),
        (
            record(claim(1), required=1, streak=1, admitted=1, successful=1, criterion__met="no"),
            "The record says criterion.met no; from its test cases follows yes.",
        ),
        (
            record(claim(1), claim(2), required=2, streak=2, admitted=2, successful=2, lower_bound="0.9"),
            "The record says lower_bound 0.9; from its test cases follows 0.2236.",
        ),
        (
            record(claim(1), claim(2), required=3, streak=2, admitted=3, successful=2),
            "The record says runs.admitted 3; from its test cases follows 2.",
        ),
        (
            record(
                claim(1),
                claim(2),
                required=1,
                streak=2,
                admitted=2,
                successful=2,
                lower_bound_rule="runs fixed in advance",
            ),
            "The record requires 1 runs and admitted 2: they were not fixed in advance.",
        ),
        (
            record(claim(1), required=1, streak=1, admitted=1, successful=1, criterion__required="0"),
            "The record requires 0 consecutive runs, which is no criterion.",
        ),
        (
            record(claim(1), required=1, streak=1, admitted=1, successful=1, chaos="7"),
            "The record is of a session under chaos, which never meets a criterion, and claims that it is met.",
        ),
        (
            record(claim(1), claim(1), required=1, streak=1, admitted=1, successful=1),
            "The record has 2 test cases for attempt 1 at task a of batch 1 of p.md in run 1.",
        ),
        (
            record(claim(1, shown="failure"), required=1, streak=1, admitted=1, successful=1),
            "The test case of task a of batch 1 of p.md in run 1 is passed by its property, and failure by its "
            "element.",
        ),
        (
            record(claim(1, failure_kind="agent"), required=1, streak=1, admitted=1, successful=1),
            "The test case of task a of batch 1 of p.md in run 1 is passed, and has the failure kind agent.",
        ),
        (
            record(claim(1, attempt=2, draws="2"), required=1, streak=1, admitted=1, successful=1),
            "The record says runs.redrawn 0; from its test cases follows 1.",
        ),
        (
            record(claim(1, attempt=2, draws="2"), required=1, streak=1, admitted=1, successful=1),
            "The record says lower_bound 0.0500; from its test cases follows 0.0000.",
        ),
        (
            record(claim(1, attempt=2, draws="many"), required=1, streak=1, admitted=1, successful=1),
            "The record says runs.redrawn 0; from its test cases follows 1.",
        ),
        (
            record(claim(1, attempt=2), required=1, streak=1, admitted=1, successful=1),
            "The test case of task a of batch 1 of p.md in run 1 is attempt 2, and does not say on how many an agent "
            "had begun.",
        ),
        (
            record(claim(1, attempt=0), required=1, streak=1, admitted=1, successful=1),
            "The test case of task a of batch 1 of p.md in run 1 is passed, and names no attempt.",
        ),
    ],
)
def test_a_record_that_contradicts_itself_is_told_of(dishonest: Record, said: str) -> None:
    assert said in lies(dishonest)


def test_a_failure_without_a_kind_is_none() -> None:
    bare = Claim(TaskRunKey("S", 1, "p.md", "1", "a"), 1, Outcome.FAILED, "failure", {})
    assert any("is failed, and has no failure kind" in each for each in lies(Record("S", {}, (bare,))))


def test_an_item_that_was_selected_must_have_a_test_case_unless_nothing_was_done_with_it() -> None:
    missing = TaskRunKey("S", 2, "p.md", "1", "b")
    found = lies(MET, [missing])
    assert (
        "The record has no test case for task b of batch 1 of p.md in run 2, which the session had selected." in found
    )
    assert "The record says criterion.streak 2; from its test cases follows 0." in found
    excused = lies(MET, [missing], [missing])
    assert not any("no test case" in each for each in excused)
    assert any("criterion.streak" in each for each in excused)


def xml(
    *cases: str, properties: Mapping[str, str] | None = None, totals: str = 'failures="0" errors="0" skipped="0"'
) -> bytes:
    told = {"session": "S"} if properties is None else properties
    suite = "".join(f'<property name="pipeline.{name}" value="{value}"/>' for name, value in told.items())
    inside = f"<properties>{suite}</properties>{''.join(cases)}"
    return f"<testsuites><testsuite {totals}>{inside}</testsuite></testsuites>".encode()


def case(inside: str = "", **changed: str) -> str:
    facts = {"session": "S", "run": "1", "plan": "p.md", "batch": "1", "task": "a", "outcome": "passed", "attempt": "1"}
    told = {name: value for name, value in {**facts, **changed}.items() if value != "-"}
    listed = "".join(f'<property name="pipeline.{name}" value="{value}"/>' for name, value in told.items())
    return f'<testcase classname="p" name="a"><properties>{listed}</properties>{inside}</testcase>'


def test_a_record_is_read_with_all_that_it_claims() -> None:
    found = read_record(
        xml(
            case(),
            case("<failure/>", run="2", outcome="failed"),
            '<testcase name="another"/>',
            totals='failures="1" errors="0" skipped="0"',
        )
    )

    assert (found.session, found.faults) == ("S", ())
    first, second = found.claims
    assert (first.key, first.attempt, first.shown) == (TaskRunKey("S", 1, "p.md", "1", "a"), 1, "passed")
    assert (second.outcome, second.shown) == (Outcome.FAILED, "failure")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (xml(case(task="-")), "The test case p a does not say its task."),
        (xml(case(session="T")), "The test case p a is of session T; the record is of S."),
        (xml(case(run="1e9")), "The test case p a has a run or an attempt that is no number."),
        (xml(case(run="123456")), "The test case p a has a run or an attempt that is no number."),
        (xml(case(attempt="²")), "The test case p a has a run or an attempt that is no number."),
        (xml(case(outcome="great")), "The test case p a has the outcome 'great', which there is not."),
        (xml(case("<failure/>")), "The suite says 0 failures; its test cases have 1."),
    ],
)
def test_what_is_wrong_already_as_it_is_read_is_kept(text: bytes, said: str) -> None:
    assert said in read_record(text).faults


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"nonsense", "is no XML"),
        (xml(properties={}), "holds no sessions of plans"),
        (
            b"<testsuites>" + 2 * xml().removeprefix(b"<testsuites>").removesuffix(b"</testsuites>") + b"</testsuites>",
            "holds 2 sessions",
        ),
        (b'<!DOCTYPE x [<!ENTITY y "z">]>' + xml(), "has a document type"),
    ],
)
def test_what_is_no_record_of_one_session_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_record(text)
    assert ElementTree.fromstring(xml()) is not None
