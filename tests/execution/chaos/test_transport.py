"""What comes back from GitHub under chaos: below everything that asks again, once in a task."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_pipeline.execution.chaos.dice import Dice
from pytest_pipeline.execution.chaos.injecting import Chaos
from pytest_pipeline.execution.chaos.transport import ChaoticTransport, Reply
from pytest_pipeline.execution.task_run import TaskRun
from tests.e2e.world import plan, task
from tests.execution.chaos.conftest import Load
from tests.execution.stage import Stage

MAKE_A = plan(task(files=["Create: `a.txt`"]))


class Network:
    """Answers with a number that grows."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def __call__(
        self, verb: str, url: str, parameters: dict[str, Any], headers: dict[str, Any], content: dict[str, Any] | None
    ) -> Reply:
        self.sent.append(f"{verb} {url}")
        return 200, {}, str(len(self.sent))


@pytest.fixture
def network() -> Network:
    return Network()


def transport(stage: Stage, load: Load, network: Network, fault: str, call: int = 1) -> ChaoticTransport:
    """A transport in the middle of a task that meets this fault, at this call or at the first one that it can."""
    load(fault, numbers={"github call": call})
    pipeline = stage.open(MAKE_A)
    chaos = Chaos(Dice(1, 1.0), ())
    plan = pipeline.plans["plans/p.md"]
    attempt = TaskRun(pipeline, 1, plan, plan.batches[0], plan.batches[0].tasks[0])
    attempt.admit()
    made = ChaoticTransport(network, chaos)
    assert ask(made) == (200, {}, "1")  # before any task
    network.sent.clear()
    chaos.attend(attempt, attempt.task)
    return made


def ask(transport: ChaoticTransport, verb: str = "GET", url: str = "https://api/pulls") -> Reply:
    return transport(verb, url, {}, {}, None)


def test_a_proxys_page_comes_in_place_of_one_answer(stage: Stage, load: Load, network: Network) -> None:
    found = transport(stage, load, network, "github-502")

    replies = [ask(found), ask(found, "PUT"), ask(found)]

    assert [status for status, _, _ in replies] == [200, 502, 200]
    assert replies[1][2].startswith("<html>")
    assert len(network.sent) == 2


def test_a_connection_breaks_before_anything_is_sent(stage: Stage, load: Load, network: Network) -> None:
    found = transport(stage, load, network, "github-reset", call=0)

    with pytest.raises(ConnectionResetError):
        ask(found, "POST")

    assert network.sent == []
    assert ask(found, "POST")[0] == 200


def test_a_secondary_limit_asks_for_a_seconds_patience(stage: Stage, load: Load, network: Network) -> None:
    status, headers, text = ask(transport(stage, load, network, "github-secondary", call=0))

    assert (status, headers["retry-after"]) == (403, "1")
    assert "secondary rate limit" in text


def test_an_old_answer_comes_once_more_and_only_to_the_same_question(
    stage: Stage, load: Load, network: Network
) -> None:
    found = transport(stage, load, network, "github-lag")

    texts = [
        ask(found)[2],
        ask(found, url="https://api/other")[2],
        ask(found, "POST")[2],
        ask(found)[2],
        ask(found)[2],
    ]

    assert texts == ["1", "2", "3", "1", "4"]


def test_answers_of_an_earlier_task_are_forgotten(stage: Stage, load: Load, network: Network) -> None:
    found = transport(stage, load, network, "github-lag")
    ask(found)
    first = found._chaos._attempt
    assert isinstance(first, TaskRun)
    batch = first.plan.batches[0]
    again = TaskRun(first.pipeline, 2, first.plan, batch, batch.tasks[0])
    again.admit()
    found._chaos.attend(again, again.task)

    assert [ask(found)[2], ask(found)[2]] == ["2", "2"]
