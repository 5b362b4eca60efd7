"""The gateway of a rehearsal: what it grants, and how the real CLI gets along with it."""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_pipeline.agents.claude.rehearsal.gateway import Rehearsal
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Reply, text, tool_call
from pytest_pipeline.agents.claude.rehearsal.server import DUMMY_KEY, Admission
from tests.agents.claude.rehearsal.asking import Client, Says, answering
from tests.agents.claude.rehearsal.stage import Stage, request_in


def test_a_rehearsal_lets_a_task_run_in_and_forgets_it(tmp_path: Path) -> None:
    rehearsal = Rehearsal(lambda _request: Says())
    config = tmp_path / "config"
    config.mkdir()
    with contextlib.closing(rehearsal):
        with rehearsal.admit(request_in(tmp_path), config) as access:
            address = access.environment["ANTHROPIC_BASE_URL"]
            assert access.environment == {
                "ANTHROPIC_BASE_URL": address,
                "ANTHROPIC_API_KEY": DUMMY_KEY,
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
            }
            with contextlib.closing(Client(Admission(address, Says()))) as client:
                assert client.ask().status == 200
        with contextlib.closing(Client(Admission(address, Says()))) as client:
            assert client.ask().status == 404
    assert answering() == []
    assert list(config.iterdir()) == []


def test_a_rehearsal_keeps_what_a_proxy_must_not_see(tmp_path: Path) -> None:
    rehearsal = Rehearsal(lambda _request: Says())
    request = request_in(tmp_path, environment={"no_proxy": "example.org"})
    with contextlib.closing(rehearsal), rehearsal.admit(request, tmp_path) as access:
        assert access.environment["no_proxy"] == "example.org,127.0.0.1"


def test_a_rehearsal_passes_the_complaint_of_a_script_on(tmp_path: Path) -> None:
    script = Says(KeyError("lost"))
    with contextlib.closing(Rehearsal(lambda _request: script)) as rehearsal:
        with rehearsal.admit(request_in(tmp_path), tmp_path) as access:
            assert access.complaint() == ""
            with contextlib.closing(Client(Admission(access.environment["ANTHROPIC_BASE_URL"], script))) as client:
                client.ask().read()
        assert "lost" in access.complaint()


def test_a_rehearsal_serves_task_runs_of_several_threads(tmp_path: Path) -> None:
    together = threading.Barrier(6, timeout=30)

    def rehearse(_number: int) -> tuple[int, int]:
        with rehearsal.admit(request_in(tmp_path), tmp_path) as access:
            together.wait()
            with contextlib.closing(Client(Admission(access.environment["ANTHROPIC_BASE_URL"], Says()))) as client:
                return client.ask().status, client.port

    with contextlib.closing(Rehearsal(lambda _request: Says())) as rehearsal, ThreadPoolExecutor(6) as pool:
        outcomes = set(pool.map(rehearse, range(6)))
    assert [status for status, _port in outcomes] == [200]
    assert answering() == []


@pytest.mark.parametrize(("rehearses", "player"), [("scripted", "a script"), ("cassette", "a cassette")])
def test_a_rehearsal_says_what_it_proves_and_what_not(rehearses: str, player: str) -> None:
    rehearsal = Rehearsal(lambda _request: Says(), rehearses)

    (note,) = rehearsal.notes
    assert rehearsal.rehearses == rehearses
    assert player in note
    assert "proves the plan, the pipeline and the CLI's tools" in note
    assert "says nothing about what a model would do" in note
    rehearsal.close()
    assert answering() == []


def test_the_cli_reads_each_block_as_it_was_meant_and_sends_it_back(claude_cli: Path, tmp_path: Path) -> None:
    stage = Stage(claude_cli, tmp_path)
    content = "Zürich, 東京 🗼\n" * 10_000
    call = tool_call("1", "Write", {"file_path": str(stage.workspace / "ü.txt"), "content": content})
    thought = {"type": "thinking", "thinking": "hm " * 10_000 + "so.", "signature": "c2lnbmF0dXJl"}

    def answer(asked: Asked) -> Reply:
        return (
            Answer((text("Done."),), "end_turn")
            if asked.turn
            else Answer((thought, text("ü" * 40_000), call), "tool_use")
        )

    performance = stage.perform(lambda _request: Says(answer))

    assert performance.verdict == (0, False, "completed", None)
    assert (stage.workspace / "ü.txt").read_text() == content
    sent_back = json.dumps(performance.heard.asked[1].messages)
    for piece in (thought["thinking"], thought["signature"], "ü" * 40_000, content):
        assert json.dumps(piece)[1:-1] in sent_back


def test_the_cli_does_not_ask_a_proxy_about_a_rehearsal(claude_cli: Path, tmp_path: Path) -> None:
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1")
    performance = Stage(claude_cli, tmp_path).perform(
        lambda _request: Says(Answer((), "end_turn")), environment=proxies
    )
    assert performance.verdict == (0, False, "completed", None)


def test_the_cli_stops_at_once_when_a_script_fails(claude_cli: Path, tmp_path: Path) -> None:
    performance = Stage(claude_cli, tmp_path).perform(lambda _request: Says(KeyError("lost")), retries=10)

    assert len(performance.heard.asked) == 1
    assert "lost" in str(performance.result["result"])
    assert "lost" in performance.complaint
