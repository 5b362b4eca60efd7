"""Whatever is said in whatever order, the store holds what it accepted, and a new look at the file agrees."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pytest_pipeline.errors import FailureKind, StoreError
from pytest_pipeline.record.model import AttemptId, Outcome, SessionRecord, TaskRunKey
from pytest_pipeline.record.store import Store
from tests.record.conftest import at

numbers = st.integers(1, 4)
tasks = st.sampled_from(["1", "2"])
endings = st.sampled_from([Outcome.PASSED, Outcome.FAILED, Outcome.INTERRUPTED])
skips = st.sampled_from([Outcome.SKIPPED, Outcome.COMPLETED])


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.directory.name) / 'state.db'}"
        self.store = Store.open(self.url)
        self.store.open_session(SessionRecord("S", at(0), 1, 1))
        self.clock = 0
        self.runs: dict[int, Outcome] = {}
        self.tries: dict[tuple[int, str], list[Outcome]] = {}
        self.skipped: dict[tuple[int, str], Outcome] = {}
        self.attempts: list[tuple[AttemptId, tuple[int, str]]] = []

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    def accepted(self, expected: bool, said: object) -> None:
        self.clock += 1
        assert callable(said)
        try:
            said()
        except StoreError:
            assert not expected
        else:
            assert expected

    @rule(number=numbers)
    def admit_run(self, number: int) -> None:
        self.clock += 1
        record = self.store.admit_run("S", number, at(self.clock))
        self.runs.setdefault(number, Outcome.RUNNING)
        assert record.admitted == list(self.runs).index(number) + 1

    @rule(number=numbers, outcome=endings)
    def finish_run(self, number: int, outcome: Outcome) -> None:
        ok = self.runs.get(number) in (Outcome.RUNNING, outcome)
        self.accepted(ok, lambda: self.store.finish_run("S", number, outcome, at(self.clock)))
        if ok:
            self.runs[number] = outcome

    @rule(number=numbers, task=tasks)
    def admit_attempt(self, number: int, task: str) -> None:
        key = TaskRunKey("S", number, "p.md", "b", task)

        def admit() -> None:
            attempt = self.store.admit_attempt(key, "T", at(self.clock))
            if self.runs[number] is Outcome.FAILED:
                self.runs[number] = Outcome.RUNNING  # something is tried in it again
            tries = self.tries.setdefault((number, task), [])
            tries.append(Outcome.RUNNING)
            assert attempt.number == len(tries)
            self.attempts.append((attempt, (number, task)))

        self.accepted(number in self.runs, admit)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), outcome=endings)
    def finish_attempt(self, data: st.DataObject, outcome: Outcome) -> None:
        attempt, place = data.draw(st.sampled_from(self.attempts))
        tries = self.tries[place]
        ok = tries[attempt.number - 1] in (Outcome.RUNNING, outcome)
        kind = FailureKind.AGENT if outcome is Outcome.FAILED else None
        self.accepted(ok, lambda: self.store.finish_attempt(attempt, outcome, kind, "m", {}, at(self.clock)))
        if ok:
            tries[attempt.number - 1] = outcome

    @rule(number=numbers, task=tasks, outcome=skips)
    def skip(self, number: int, task: str, outcome: Outcome) -> None:
        place = (number, task)
        ok = number in self.runs and place not in self.tries and self.skipped.get(place) in (None, outcome)
        key = TaskRunKey("S", number, "p.md", "b", task)
        self.accepted(ok, lambda: self.store.skip_task_run(key, "T", outcome, "why"))
        if ok:
            self.skipped[place] = outcome

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = Store.open(self.url)

    @invariant()
    def holds_what_it_accepted(self) -> None:
        assert {run.number: run.outcome for run in self.store.runs("S")} == self.runs
        found = {(each.key.run, each.key.task): each for each in self.store.task_runs("S")}
        assert found.keys() == self.tries.keys() | self.skipped.keys()
        for place, each in found.items():
            tries = self.tries.get(place, [])
            assert [attempt.outcome for attempt in each.attempts] == tries
            assert each.outcome is (tries[-1] if tries else self.skipped[place])


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
