from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_pipeline.errors import FailureKind
from pytest_pipeline.record import columns
from pytest_pipeline.record.criterion import judge, run_outcome
from pytest_pipeline.record.matrix import ranges
from pytest_pipeline.record.model import (
    AttemptRecord,
    Outcome,
    RunRecord,
    SessionRecord,
    StepRecord,
    TaskRunKey,
    TaskRunRecord,
)
from pytest_pipeline.record.summary import NARROWEST, summary
from tests.record.conftest import at

HELLO = ("plans/hello.md", "batch-1", "1.1", "Create hello world")
EMOJI = (
    "plans/package.md",
    "batch-1",
    "1",
    "添加一个非常长的标题 👩‍💻 that goes on and on, further than the eye can see",
)
TESTS = ("plans/package.md", "batch-2", "2", "Test it")
FINAL = ("plans/package.md", "end", "final-state", "Final state")
TASKS = (HELLO, EMOJI, TESTS, FINAL)

Task = tuple[str, str, str, str]
Ends = Mapping[tuple[int, str], Outcome]


def attempt(outcome: Outcome, properties: Mapping[str, str] | None = None, number: int = 1) -> AttemptRecord:
    failed = outcome is Outcome.FAILED
    kind, message = (FailureKind.VERIFICATION, "verification: expected exit code 0; found 1") if failed else (None, "")
    steps = (StepRecord("agent", at(0), at(1), Outcome.PASSED),)
    return AttemptRecord(number, at(0), outcome, at(1), kind, message, properties or {}, steps)


def task_run(run: int, task: Task, outcome: Outcome, *attempts: AttemptRecord) -> TaskRunRecord:
    plan, batch, name, title = task
    skipped = outcome in (Outcome.SKIPPED, Outcome.COMPLETED)
    return TaskRunRecord(
        TaskRunKey("S", run, plan, batch, name),
        title,
        outcome,
        "",
        attempts or (() if skipped else (attempt(outcome),)),
    )


def session_of(
    count: int,
    ends: Ends,
    properties: Mapping[str, str] | None = None,
    tasks: Sequence[Task] = TASKS,
    width: int = 80,
    required: int | None = None,
    facts: Mapping[str, str] | None = None,
) -> list[str]:
    """The summary of a session in which everything passed but for what is said."""
    task_runs = []
    for number in range(1, count + 1):
        for task in tasks:
            outcome = ends.get((number, task[2]), Outcome.PASSED)
            tried = () if outcome in (Outcome.SKIPPED, Outcome.COMPLETED) else (attempt(outcome, properties),)
            task_runs.append(task_run(number, task, outcome, *tried))
    runs = []
    for number in range(1, count + 1):
        ended = run_outcome(each.outcome for each in task_runs if each.key.run == number)
        runs.append(RunRecord("S", number, number, at(10 * number), ended, at(10 * number + 7.5)))
    return texts(runs, task_runs, count, required or count, width, facts)


def texts(
    runs: Sequence[RunRecord],
    task_runs: Sequence[TaskRunRecord],
    count: int,
    required: int,
    width: int = 80,
    facts: Mapping[str, str] | None = None,
) -> list[str]:
    session = SessionRecord("S", at(0), required, count, facts or {})
    return [line.text for line in summary(session, runs, task_runs, judge(runs, required, count), width)]


def drawn_anew(redrawn: set[int], *ends: Outcome, chaos: bool = False, rehearsal: str = "") -> list[str]:
    """Evidence and criterion of runs of which some had a new draw."""
    facts = {"rehearsal": rehearsal} if rehearsal else {}
    runs = [RunRecord("S", number, number, at(number), end, at(number)) for number, end in enumerate(ends, 1)]
    verdict = judge(runs, len(runs), len(runs), chaos=chaos, redrawn=redrawn)
    found = summary(SessionRecord("S", at(0), len(runs), len(runs), facts), runs, [], verdict, 400)
    return [line.text for line in found if line.text.startswith(("evidence", "criterion"))]


def test_runs_with_a_new_draw_count_for_the_streak_and_prove_nothing() -> None:
    evidence, criterion = drawn_anew({2}, *[Outcome.PASSED] * 3)
    assert evidence.startswith(
        "evidence: 2 of 3 whole runs succeeded without a new draw; at 95 % confidence at least 13.5 %"
    )
    assert "(3 runs fixed in advance; " in evidence
    assert criterion == "criterion met: 3 of 3 consecutive runs (1 run with a new draw)"


def test_where_all_runs_had_a_new_draw_there_is_no_success_rate() -> None:
    assert drawn_anew({1, 2}, Outcome.PASSED, Outcome.PASSED, rehearsal="scripted") == [
        "evidence: 0 of 2 whole runs succeeded without a new draw, which proves no success rate. It is a rehearsal, "
        "which proves the agent's CLI and this pipeline, and nothing about a model.",
        "criterion met: 2 of 2 consecutive runs (2 runs with a new draw) (rehearsal: no model took part)",
    ]


def test_under_chaos_new_draws_are_what_is_to_be_expected() -> None:
    evidence, criterion = drawn_anew({1}, Outcome.PASSED, chaos=True)
    assert evidence == "evidence: 1 of 1 whole runs succeeded under chaos, which proves no success rate."
    assert "new draw" not in criterion


GOOD = """\
run                                                 1  2  3  4  5  6  7  8  9 10
plans/hello.md
  1.1 Create hello world                            .  .  .  .  .  .  .  .  .  .
plans/package.md
  1 添加一个非常长的标题 👩💻 that goes on and ..   .  .  .  .  .  .  .  .  .  .
  2 Test it                                         .  .  .  .  .  .  .  .  .  .
  final-state                                       .  .  .  .  .  .  .  .  .  .
whole run                                           .  .  .  .  .  .  .  .  .  .
. passed

pull requests: 40 merged
cost: 10.00 USD
run time: median 7.5 s of 10 runs
streak: 10, longest 10; 10 runs admitted: 10 successful, 0 failed, 0 unfinished
evidence: 10 of 10 whole runs succeeded; at 95 % confidence at least 74.1 % of
  whole runs do (10 runs fixed in advance; 64.6 % for looking whenever), if runs
  are independent.
criterion met: 10 of 10 consecutive runs"""

BAD = """\
run                                                 1  2  3  4  5  6  7  8  9 10
plans/hello.md
  1.1 Create hello world                            .  .  .  .  .  .  c  .  .  .
plans/package.md
  1 添加一个非常长的标题 👩💻 that goes on and ..   .  F  F  .  .  .  .  .  .  .
  2 Test it                                         .  s  s  .  .  .  .  .  .  .
  final-state                                       I  ?  s  .  .  .  .  .  .  .
whole run                                           I  F  F  .  .  .  .  .  .  .
. passed  F failed  s skipped  c completed  I interrupted  ? unfinished

run 1: final-state of plans/package.md: interrupted
run 2: 1 of plans/package.md: verification: expected exit code 0; found 1
run 2: final-state of plans/package.md: unfinished
run 3: 1 of plans/package.md: verification: expected exit code 0; found 1
cost: unknown (36 attempts)
run time: median 7.5 s of 10 runs
streak: 7, longest 7; 10 runs admitted: 7 successful, 3 failed, 0 unfinished
evidence: 7 of 10 whole runs succeeded; at 95 % confidence at least 39.3 % of
  whole runs do (10 runs fixed in advance; 28.2 % for looking whenever), if runs
  are independent.
criterion not met: 7 of 10 consecutive runs (broken by run 3: task 1 of
  plans/package.md failed, verification)"""


def test_ten_good_runs_in_eighty_columns() -> None:
    assert "\n".join(session_of(10, {}, {"pull_request_state": "merged", "cost_usd": "0.25"})) == GOOD


def test_ten_runs_of_every_outcome_in_eighty_columns() -> None:
    ends = {
        (1, "final-state"): Outcome.INTERRUPTED,
        (2, "1"): Outcome.FAILED,
        (2, "2"): Outcome.SKIPPED,
        (2, "final-state"): Outcome.RUNNING,
        (3, "1"): Outcome.FAILED,
        (3, "2"): Outcome.SKIPPED,
        (3, "final-state"): Outcome.SKIPPED,
        (7, "1.1"): Outcome.COMPLETED,
    }
    assert "\n".join(session_of(10, ends)) == BAD


def test_a_hundred_runs_are_drawn_in_tens() -> None:
    found = session_of(100, {(17, "2"): Outcome.FAILED})
    assert "run                          1          11         21         31" in found
    assert "  2 Test it                  .......... ......F... .......... .........." in found
    assert "  2 Test it                  .......... .........." in found


def test_a_thousand_runs_are_counted_and_the_bad_ones_named() -> None:
    found = session_of(1000, {(17, "2"): Outcome.FAILED, (18, "2"): Outcome.FAILED})
    assert "  1.1 Create hello world     1000 passed" in found
    assert "  2 Test it                  998 passed, 2 failed (run 17-18)" in found
    assert len(found) < 30


def test_a_task_that_was_not_selected_in_a_run_is_blank() -> None:
    runs = [RunRecord("S", number, number, at(number), Outcome.PASSED, at(number)) for number in (1, 2, 3)]
    task_runs = [task_run(number, TESTS, Outcome.PASSED) for number in (1, 3)]
    (row,) = (line for line in texts(runs, task_runs, 3, 3) if "Test it" in line)
    assert row.endswith(" .   .")


def test_of_a_thousand_tasks_those_that_failed_are_drawn_and_the_others_counted() -> None:
    tasks = [("plans/large.md", "b", str(number), "Do") for number in range(1, 1001)]
    found = session_of(2, {(2, "777"): Outcome.FAILED}, tasks=tasks)
    assert next(line for line in found if line.startswith("  777 Do ")).endswith(". F")
    assert "(999 tasks without a failure)" in found
    assert len(found) < 20


def test_tasks_of_one_id_in_two_batches_are_told_apart() -> None:
    tasks = [("p.md", "batch-1", "1", "A"), ("p.md", "batch-10", "1", "C"), ("p.md", "batch-2", "1", "B")]
    rows = [line.split("  .")[0].strip() for line in session_of(1, {}, tasks=tasks)]
    assert rows[2:5] == ["batch-1 1 A", "batch-2 1 B", "batch-10 1 C"]


def test_what_a_reader_must_know_is_said() -> None:
    properties = {
        "own_checks": "0",
        "vacuous": "yes",
        "judge": "2",
        "undeclared": "a.txt",
        "pull_request": "7",
        "pull_request_state": "open",
    }
    runs = [RunRecord("S", 2, 1, at(0), Outcome.PASSED, at(90)), RunRecord("S", 1, 2, at(10), Outcome.PASSED, at(4000))]
    twice = (attempt(Outcome.FAILED, {"cost_usd": "0.02"}), attempt(Outcome.PASSED, {**properties, "cost_usd": "x"}, 2))
    task_runs = [task_run(1, HELLO, Outcome.PASSED, *twice), task_run(2, HELLO, Outcome.PASSED)]
    found = texts(runs, task_runs, 2, 2, width=100)
    for line in (
        "pull requests: 0 merged, 1 open",
        "cost: 0.0200 USD at least, unknown for 2 attempts",
        "run time: median 34 min 0 s of 2 runs",
        "no check of their own, judged by files alone: 1 task (1.1 of plans/hello.md)",
        "vacuous checks, which passed before the agent had started: 1 task (1.1 of plans/hello.md)",
        "for a person to judge: 2 criteria in prose",
        "undeclared changes: in 1 attempt (property undeclared names the paths)",
        "retried: 1 task run (run 1, 1.1 of plans/hello.md: 2 attempts, 1 new draw)",
        "overlapping in time: runs 1-2",
        "runs in the order of admission: 2, 1",
    ):
        assert line in found


@pytest.mark.parametrize(
    ("states", "line"),
    [
        ((("7", "open"), ("7", "merged")), "pull requests: 1 merged"),
        ((("7", "open"), ("8", "merged")), "pull requests: 1 merged, 1 open"),
        ((("7", "merged"), ("8", "merged")), "pull requests: 2 merged"),
    ],
)
def test_a_pull_request_counts_once_as_its_last_attempt_left_it(states: Sequence[tuple[str, str]], line: str) -> None:
    runs = [RunRecord("S", 1, 1, at(0), Outcome.PASSED, at(90))]
    facts = [{"pull_request": number, "pull_request_state": state} for number, state in states]
    attempts = (attempt(Outcome.FAILED, facts[0]), attempt(Outcome.PASSED, facts[1], 2))
    assert line in texts(runs, [task_run(1, HELLO, Outcome.PASSED, *attempts)], 1, 1, width=100)


def one_run(*properties: Mapping[str, str], facts: Mapping[str, str] | None = None) -> list[str]:
    """The summary of one run with an attempt for each of these facts."""
    runs = [RunRecord("S", 1, 1, at(0), Outcome.PASSED, at(90))]
    task_runs = [
        task_run(1, ("p.md", "b", str(number), "Do"), Outcome.PASSED, attempt(Outcome.PASSED, each))
        for number, each in enumerate(properties)
    ]
    return texts(runs, task_runs, 1, 1, width=200, facts=facts)


def test_costs_that_are_estimated_or_unknown_are_counted() -> None:
    told, estimated = {"cost_usd": "1.25"}, {"cost_usd": "0.5", "cost_estimated": "yes"}

    assert "cost: 1.75 USD, estimated for 1 attempt" in one_run(told, estimated)
    assert "cost: 2.25 USD at least, unknown for 1 attempt, estimated for 2 attempts" in one_run(
        told, estimated, {}, estimated
    )
    assert "cost: 1.25 USD" in one_run(told)


def test_denied_tools_are_counted_over_all_attempts() -> None:
    found = one_run({"denied_tools": "Bash 1"}, {}, {"denied_tools": "Write 2, Bash 1, mcp__a b__c 4"})

    assert "denied tools: 8 calls in 2 attempts (mcp__a b__c 4, Bash 2, Write 2)" in found
    assert "denied tools: 1 call in 1 attempt (Bash 1)" in one_run({"denied_tools": "Bash 1"})


def test_nothing_is_said_of_denied_tools_where_there_were_none() -> None:
    assert "denied" not in "\n".join(one_run({}, {"denied_tools": "nonsense"}))


def test_a_reached_cost_limit_is_told_and_another_one_is_not() -> None:
    costs = {"cost_usd": "2.5"}

    told = "cost limit reached: 5.00 USD of 5 (--max-cost); no task started after that"
    assert told in one_run(costs, costs, facts={"max_cost": "5"})
    assert "limit" not in "\n".join(one_run(costs, costs, facts={"max_cost": "5.01"}))
    assert "limit" not in "\n".join(one_run(costs, costs))


def test_a_rehearsal_says_so_with_its_verdict_its_evidence_and_its_cost() -> None:
    for kind in ("scripted", "cassette"):
        found = session_of(10, {}, {"cost_usd": "0.25"}, facts={"rehearsal": kind}, width=300)
        assert found[-1] == "criterion met: 10 of 10 consecutive runs (rehearsal: no model took part)"
        assert found[-2].endswith(
            "if runs are independent. It is a rehearsal, which proves the agent's CLI and this pipeline, and nothing "
            "about a model."
        )
        assert "cost: 10.00 USD (rehearsal: nothing was paid)" in found


def test_so_does_one_that_failed() -> None:
    found = session_of(1, {(1, "1"): Outcome.FAILED}, facts={"rehearsal": "scripted"}, width=300)
    assert found[-1].startswith("criterion not met: 0 of 1 consecutive runs (broken by")
    assert found[-1].endswith("(rehearsal: no model took part)")
    assert "It is a rehearsal" in found[-2]


def test_a_session_that_rehearsed_in_part_says_that() -> None:
    found = session_of(1, {}, {"cost_usd": "0.25"}, facts={"rehearsal": "scripted, in part"}, width=300)
    assert found[-1].endswith("consecutive runs (in part a rehearsal, where no model took part)")
    assert found[-2].endswith("What was rehearsed proves the agent's CLI and this pipeline, and nothing about a model.")
    assert "cost: 1.00 USD" in found


def test_a_session_that_ended_early_says_how_many_runs_took_place() -> None:
    runs = [RunRecord("S", 1, 1, at(0), Outcome.PASSED, at(1))]
    found = texts(runs, [task_run(1, HELLO, Outcome.PASSED)], 10, 10)
    assert found[-1] == "criterion not met: 1 of 10 consecutive runs (only 1 of 10 runs took place)"


def test_a_streak_reached_early_is_met_and_claims_only_what_looking_whenever_allows() -> None:
    found = session_of(4, {(1, "2"): Outcome.FAILED}, required=3)
    assert found[-1] == "criterion met: 3 of 3 consecutive runs"
    assert "valid for looking whenever" in " ".join(found)
    assert "fixed in advance" not in " ".join(found)


def test_a_run_that_did_not_end_is_what_broke_it() -> None:
    found = texts([RunRecord("S", 1, 1, at(0))], [], 1, 1)
    assert found[-1] == "criterion not met: 0 of 1 consecutive runs (broken by run 1, not ended)"
    assert "evidence: 0 of 1 whole runs succeeded, which proves no success rate." in found


def test_nothing_at_all_is_said_without_a_matrix() -> None:
    found = texts([], [], 2, 2)
    assert found[-1].startswith("criterion not met: 0 of 2 consecutive runs")
    assert len(found) == 3


def test_many_failures_are_cut_and_counted() -> None:
    found = session_of(80, {(number, "2"): Outcome.FAILED for number in range(1, 81)})
    assert sum(line.startswith("run ") and "verification" in line for line in found) == 50
    assert "and 30 more, in runs 51-80" in found


def test_a_title_cannot_steer_the_terminal() -> None:
    task = ("p.md", "b", "1", "\x1b[2J\x07\u202egnp.exe\nnext \x9b31m")
    (row,) = (line for line in session_of(1, {}, tasks=[task]) if "2J" in line)
    assert row.startswith("  1 \\x1b[2J\\x07gnp.exe next \\x9b31m")


def test_the_good_are_green_and_the_bad_are_red() -> None:
    runs = [RunRecord("S", 1, 1, at(0), Outcome.FAILED, at(1)), RunRecord("S", 2, 2, at(2), Outcome.PASSED, at(3))]
    task_runs = [task_run(1, HELLO, Outcome.FAILED), task_run(2, TESTS, Outcome.PASSED)]
    for required, colour in ((1, "green"), (2, "red")):
        lines = summary(SessionRecord("S", at(0), required, 2), runs, task_runs, judge(runs, required, 2), 80)
        assert lines[-1].markup == (colour, "bold")
    markup = {line.text.split("  ")[1]: line.markup for line in lines if line.text.startswith("  ")}
    assert markup["1.1 Create hello world"] == ("red",)
    assert markup["2 Test it"] == ()


titles = st.text(max_size=60)
tasks_of_plans = st.lists(
    st.tuples(
        st.sampled_from(["plans/a.md", "plans/" + "long/" * 30 + "b.md", "計画/ü.md"]),
        st.sampled_from(["batch-1", "batch-2"]),
        st.from_regex(r"[a-z0-9.]{1,8}", fullmatch=True),
        titles,
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda task: task[:3],
)


def test_the_legend_takes_two_lines_where_one_is_too_short() -> None:
    ends = {(1, "1.1"): Outcome.FAILED, (2, "1.1"): Outcome.SKIPPED, (3, "1.1"): Outcome.COMPLETED}
    ends |= {(4, "1.1"): Outcome.INTERRUPTED, (5, "1.1"): Outcome.RUNNING}
    found = session_of(6, ends, tasks=[HELLO], width=NARROWEST)
    place = found.index(". passed  F failed  s skipped  c completed  I interrupted")
    assert found[place + 1] == "? unfinished"


@settings(max_examples=40)
@given(tasks_of_plans, st.integers(1, 130), st.integers(NARROWEST, 200), st.data())
def test_no_line_is_too_wide_columns_are_straight_and_every_failed_task_is_named(
    tasks: list[Task], count: int, width: int, data: st.DataObject
) -> None:
    outcomes = st.sampled_from([Outcome.PASSED] * 5 + list(Outcome))
    ends = {(data.draw(st.integers(1, count)), task[2]): data.draw(outcomes) for task in tasks for _ in range(2)}
    found = session_of(count, ends, tasks=tasks, width=width)
    assert all(columns.width(line) <= width for line in found)
    assert all(line.isprintable() for line in found)
    if count < 9:  # one block: every row ends where the header ends
        rows = found[: next(place for place, line in enumerate(found) if line.startswith("whole run")) + 1]
        assert {columns.width(row) for row in rows if row[0] != "p" and row[0] != "計" and row[:2] != ".."} == {
            columns.width(rows[0])
        }
    for (number, name), outcome in ends.items():
        if outcome is Outcome.FAILED:
            assert any(line.startswith(f"run {number}: ") and f"{name} of " in line for line in found)
    phrase = f"of {count} consecutive runs"
    assert sum(phrase in line and line.startswith("criterion") for line in found) == 1


@given(titles, st.integers(10, 60))
def test_a_text_fits_exactly(text: str, room: int) -> None:
    assert columns.width(columns.fit(columns.plain(text), room)) == room


@given(titles, st.integers(10, 60))
def test_a_shortened_text_is_no_wider_and_keeps_its_end_or_beginning(text: str, room: int) -> None:
    shown = columns.plain(text)
    right, left = columns.shorten(shown, room), columns.shorten_left(shown, room)
    assert columns.width(right) <= room
    assert columns.width(left) <= room
    assert shown.startswith(right.removesuffix("..")) or right == shown
    assert shown.endswith(left.removeprefix("..")) or left == shown


@given(titles, st.integers(10, 60))
def test_wrapping_loses_nothing_but_blanks(text: str, room: int) -> None:
    shown = columns.plain(text)
    lines = list(columns.wrap(shown, room))
    assert all(columns.width(line) <= room for line in lines)
    assert "".join(lines).replace(" ", "") == shown.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "expected"), [("abc", 3), ("漢字", 4), ("🎉", 2), ("e\u0301", 1), ("ｱ", 1), ("ｆ", 2)]
)
def test_wide_characters_take_two_columns_and_marks_none(text: str, expected: int) -> None:
    assert columns.width(text) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"), [([], ""), ([3], "3"), ([1, 2, 3, 7], "1-3, 7"), ([9, 2, 1, 2], "1-2, 9")]
)
def test_neighbouring_numbers_are_drawn_together(numbers: list[int], expected: str) -> None:
    assert ranges(numbers) == expected


def test_only_the_store_brings_the_database_library() -> None:
    code = (
        "import sys; from pytest_pipeline.record import criterion, evidence, junit, model, summary; "
        "sys.exit('sqlalchemy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
