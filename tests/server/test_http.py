"""The interface over HTTP. In the place of pytest something sleeps; the store is real."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from pytest_pipeline.record.model import Outcome
from tests.server.serving import API, SECRET, TOKEN, Project, events, serving, telling, until

REQUEST = {"plan_path": "plans/two.md", "start_batch": 1, "end_batch": 6, "execution_mode": "local", "auto_merge": True}


def started(client: httpx.Client, **values: object) -> str:
    """Id of an execution that was started."""
    answer = client.post(f"{API}/start", json={**REQUEST, **values})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["execution_id"])


def status(client: httpx.Client, execution: str) -> str:
    return str(client.get(f"{API}/{execution}/status").json()["status"])


# Starting


def test_what_is_asked_and_answered_at_a_start(client: httpx.Client, project: Project) -> None:
    answer = client.post(f"{API}/start", json=REQUEST)
    assert answer.status_code == 200
    told = answer.json()
    assert told == {"execution_id": told["execution_id"], "status": "started", "batches_scheduled": [1, 2]}
    assert told["execution_id"].startswith("exec_")
    arguments, plan = project.started[0]
    assert arguments == ("--batches=1-6", f"--pipeline-execution={told['execution_id']}")
    assert plan == str(project.path / "plans" / "two.md")


def test_a_second_start_of_the_same_plan_is_a_conflict_and_names_the_first(client: httpx.Client) -> None:
    first = started(client)
    answer = client.post(f"{API}/start", json={**REQUEST, "plan_path": "./plans//two.md"})
    assert answer.status_code == 409
    assert first in answer.json()["detail"]
    assert len(client.get(API).json()["executions"]) == 1


def test_of_starts_at_once_exactly_one_wins(client: httpx.Client, project: Project) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: client.post(f"{API}/start", json=REQUEST).status_code, range(8)))
    assert sorted(codes) == [200] + [409] * 7
    assert len(project.started) == 1


def test_other_plans_go_side_by_side(client: httpx.Client, project: Project) -> None:
    project.plan("other.md")
    started(client)
    started(client, plan_path="plans/other.md")


@pytest.mark.parametrize(
    ("values", "code", "told"),
    [
        ({"plan_path": "plans/missing.md"}, 400, "There is no plan"),
        ({"start_batch": 3}, 400, "no batch from 3 to 6"),
        ({"plan_path": "../two.md"}, 403, "does not lie below a root"),
        ({"plan_path": "/etc/passwd"}, 403, "does not lie below a root"),
        ({"plan_path": "plans/a\0.md"}, 400, "NUL"),
    ],
)
def test_what_cannot_be_started_is_refused(
    client: httpx.Client, project: Project, values: dict[str, object], code: int, told: str
) -> None:
    answer = client.post(f"{API}/start", json={**REQUEST, **values})
    assert answer.status_code == code
    assert told in answer.json()["detail"]
    assert project.started == []


def test_a_plan_with_errors_is_refused_with_all_of_them(client: httpx.Client, project: Project) -> None:
    project.plan("wrong.md", "---\nagnet: x\nscoop: y\n---\n### Task 1: Do\n")
    answer = client.post(f"{API}/start", json={"plan_path": "plans/wrong.md"})
    assert answer.status_code == 400
    assert [each.partition(": ")[0] for each in answer.json()["messages"]] == ["plans/wrong.md:2", "plans/wrong.md:3"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"plans/two.md"',
        b"{}",
        b'{"plan_path": 1}',
        b'{"plan_path": ["plans/two.md"]}',
        b'{"plan_path": "plans/two.md", "start_batch": "1"}',
        b'{"plan_path": "plans/two.md", "start_batch": 0}',
        b'{"plan_path": "plans/two.md", "start_batch": 1e999}',
        b'{"plan_path": "plans/two.md", "count": true}',
        b'{"plan_path": "plans/two.md", "count": 10001}',
        b'{"plan_path": "plans/two.md", "workers": 65}',
        b'{"plan_path": "plans/two.md", "auto_merge": "no"}',
        b'{"plan_path": "plans/two.md", "execution_mode": "remote"}',
        b'{"plan_path": "plans/two.md", "agent": "--help"}',
        b'{"plan_path": "plans/two.md", "agent_command": "rm -rf /"}',
        b'{"plan_path": "plans/two.md", "environment": {"PATH": "/tmp"}}',
        b'{"plan_path": "plans/two.md", "token_file": "/etc/passwd"}',
        b'{"plan_path": "plans/\\ud800.md"}',
        b"[" * 50_000,
        b"\xff\xfe",
    ],
)
def test_what_has_not_the_right_form_starts_nothing_and_is_not_repeated(
    client: httpx.Client, project: Project, body: bytes
) -> None:
    answer = client.post(f"{API}/start", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"detail", "messages"}
    assert "rm -rf" not in answer.text
    assert project.started == []


def test_what_is_no_json_by_its_own_words_is_none(client: httpx.Client, project: Project) -> None:
    form = {"Content-Type": "text/plain"}
    assert client.post(f"{API}/start", content=json.dumps(REQUEST), headers=form).status_code == 422
    assert project.started == []


# Ending and going on


def test_cancelling_is_ctrl_c(client: httpx.Client, project: Project) -> None:
    project.process = ("sh", "-c", "trap 'echo interrupted; exit 2' INT; while :; do sleep 0.02; done")
    execution = started(client)
    assert status(client, execution) == "started"
    answer = client.post(f"{API}/{execution}/cancel")
    assert answer.status_code == 200
    assert answer.json()["execution_id"] == execution
    until(lambda: status(client, execution) == "interrupted")
    launch = project.book.last_launch(execution)
    assert launch is not None
    assert "interrupted" in launch.log.read_text()
    assert client.post(f"{API}/{execution}/cancel").status_code == 409


def test_what_never_opened_a_session_begins_when_it_is_resumed(client: httpx.Client, project: Project) -> None:
    project.process = ("true",)
    execution = started(client, workers=2)
    until(lambda: status(client, execution) == "interrupted")
    assert client.post(f"{API}/{execution}/resume").json() == {"execution_id": execution, "status": "started"}
    assert project.started[1] == project.started[0]


def test_what_lies_outside_of_the_roots_by_now_is_not_resumed(client: httpx.Client, project: Project) -> None:
    project.process = ("true",)
    execution = started(client)
    until(lambda: status(client, execution) == "interrupted")
    (project.path / "plans" / "elsewhere").mkdir()
    with serving(project.place(roots=(project.path / "plans" / "elsewhere",))) as other:
        assert other.post(f"{API}/{execution}/resume").status_code == 403
    assert len(project.started) == 1


def test_an_interrupted_session_is_taken_up_with_its_workers(client: httpx.Client, project: Project) -> None:
    project.process = ("true",)
    execution = started(client, workers=2, count=3)
    until(lambda: status(client, execution) == "interrupted")
    found = project.book.get(execution)
    assert found is not None
    with telling(project, found) as told:
        told.task("1.1")
    project.process = ("sleep", "60")
    assert client.post(f"{API}/{execution}/resume").status_code == 200
    assert project.started[1] == (("--resume=S", "--numprocesses=2"), found.plan)
    assert status(client, execution) == "executing"
    assert client.post(f"{API}/{execution}/resume").status_code == 409


def test_what_came_to_its_end_is_not_resumed(client: httpx.Client, project: Project) -> None:
    execution = project.execution()
    with telling(project, execution) as told:
        for task in ("1.1", "1.2", "2.1"):
            told.task(task)
        told.close()
    answer = client.post(f"{API}/{execution.id}/resume")
    assert (answer.status_code, project.started) == (409, [])
    assert "nothing is left to do" in answer.json()["detail"]


def test_what_pytest_said_of_why_it_could_not_work_is_told_without_secrets(
    client: httpx.Client, project: Project
) -> None:
    project.process = ("echo", f"ERROR: There is no login with {SECRET}.")
    execution = started(client)
    until(lambda: status(client, execution) == "failed")
    told = client.get(f"{API}/{execution}/status").json()
    assert told["message"] == "There is no login with ***."
    assert told["completed_at"] >= told["started_at"][:19]
    assert client.get(API).json()["executions"][0]["completed_at"] == told["completed_at"]


# Reading


@pytest.mark.parametrize("what", ["status", "batches", "tasks/1.1", "events", "record.xml", "transcripts/1.1"])
@pytest.mark.parametrize("name", ["exec_20260131-235959-a1b2c3d4e5f6", "..", "%2e%2e%2fplans", "plans", "%00"])
def test_what_does_not_exist_is_not_found(client: httpx.Client, what: str, name: str) -> None:
    answer = client.get(f"{API}/{name}/{what}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"detail", "messages"}


def test_the_list_comes_in_pages_the_newest_first(client: httpx.Client, project: Project) -> None:
    names = sorted((project.execution().id for _ in range(5)), reverse=True)
    found, after = [], None
    for _ in range(3):
        page = client.get(API, params={"limit": 2, **({"after": after} if after else {})}).json()
        found += [each["execution_id"] for each in page["executions"]]
        after = page["next"]
    assert (found, after) == (names, None)


@pytest.mark.parametrize("parameters", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"after": "x" * 65}])
def test_a_page_has_bounds(client: httpx.Client, parameters: dict[str, str]) -> None:
    assert client.get(API, params=parameters).status_code == 422


def test_one_task_is_told_as_among_its_batch(client: httpx.Client, project: Project) -> None:
    execution = project.execution(count=2)
    with telling(project, execution) as told:
        told.task("1.2", Outcome.FAILED, run=1, message=f"Wrong, says {SECRET}.")
        told.task("1.2", run=2)
    first = client.get(f"{API}/{execution.id}/tasks/1.2", params={"run": 1}).json()
    assert (first["status"], first["error"]) == ("failed", "Wrong, says ***.")
    assert client.get(f"{API}/{execution.id}/tasks/1.2").json()["status"] == "complete"
    shown = client.get(f"{API}/{execution.id}/batches", params={"run": 1})
    assert shown.json()["batches"][0]["tasks"][1] == first
    assert SECRET not in shown.text
    for parameters in ({"batch": "2"}, {"run": "3"}):
        assert client.get(f"{API}/{execution.id}/tasks/1.2", params=parameters).status_code == 404


def test_a_record_is_made_when_nothing_is_under_way_any_more(client: httpx.Client, project: Project) -> None:
    execution = project.execution()
    record = f"{API}/{execution.id}/record.xml"
    assert client.get(record).status_code == 409
    with telling(project, execution) as told:
        told.task("1.1")
        told.close()
    project.record = ("echo", f"<testsuites of='{SECRET}'/>")
    answer = client.get(record)
    assert (answer.text, answer.headers["content-type"]) == ('<testsuites of="***" />', "application/xml")
    project.record = ("sh", "-c", "echo more; echo 'ERROR: The store is torn.' >&2; exit 1")
    answer = client.get(record)
    assert (answer.status_code, answer.json()["detail"]) == (503, "The store is torn.")


def test_a_transcript_is_plain_text_without_secrets(client: httpx.Client, project: Project) -> None:
    execution = project.execution()
    file = project.state / "sessions" / "S" / "transcripts" / "run-01" / "two" / "1.log"
    file.parent.mkdir(parents=True)
    file.write_text("<script>alert(1)</script>" + "x" * 65_525 + SECRET + " end")
    with telling(project, execution) as told:
        told.task("1.1", facts={"transcript": str(file.relative_to(project.path))})
    answer = client.get(f"{API}/{execution.id}/transcripts/1.1")
    assert answer.text == "<script>alert(1)</script>" + "x" * 65_525 + "*** end"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    for parameters in ({"attempt": 2}, {"run": 2}, {"batch": "2"}):
        assert client.get(f"{API}/{execution.id}/transcripts/1.1", params=parameters).status_code == 404


@pytest.mark.parametrize(
    "named", ["state.db", "../plans/two.md", "sessions/T/transcripts/a.log", "link.log", "", "a\0"]
)
def test_a_record_cannot_make_the_server_show_another_file(client: httpx.Client, project: Project, named: str) -> None:
    execution = project.execution()
    other, own = (project.state / "sessions" / session / "transcripts" for session in ("T", "S"))
    for place in (other, own):
        place.mkdir(parents=True)
    (other / "a.log").write_text("of another one")
    (own / "link.log").symlink_to(other / "a.log")
    place = own / named if named == "link.log" else project.state / named
    with telling(project, execution) as told:
        told.task("1.1", facts={"transcript": str(place)})
    assert client.get(f"{API}/{execution.id}/transcripts/1.1").status_code == 404


# Events


def test_events_come_from_the_beginning_and_again_from_any_of_them(client: httpx.Client, project: Project) -> None:
    execution = project.execution()
    with telling(project, execution) as told:
        for task in ("1.1", "1.2", "2.1"):
            told.task(task, message=f"with {SECRET}")
        told.close()
    address = f"{API}/{execution.id}/events"
    answer = client.get(address)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert SECRET not in answer.text
    found = events(answer.text)
    steps = [(data["task"], data["state"]) for _, kind, data in found if kind == "step"]
    assert steps == [(task, state) for task in ("1.1", "1.2", "2.1") for state in ("started", "finished")]
    assert [kind for _, kind, _ in found[6:]] == ["status", "end"]
    for index, (name, _, _) in enumerate(found[:5]):
        rest = events(client.get(address, headers={"Last-Event-ID": name}).text)
        assert [each for each in rest if each[1] == "step"] == found[index + 1 : 6]
    assert client.get(address, headers={"Last-Event-ID": found[-1][0]}).status_code == 204


def test_listeners_are_told_what_happens_while_they_listen(project: Project) -> None:
    execution = project.execution()
    project.processes.start(execution, is_new=False, arguments=())
    heard: list[list[tuple[str, str, dict[str, object]]]] = []
    with serving(project.place(keep_alive=0.05)) as client, telling(project, execution) as told:
        told.task("1.1")

        def listen(last: str | None) -> None:
            headers = {"Last-Event-ID": last} if last else {}
            heard.append(events(client.get(f"{API}/{execution.id}/events", headers=headers).text))

        listeners = [threading.Thread(target=listen, args=(last,)) for last in (None, None, "1:1")]
        for each in listeners:
            each.start()
        told.task("1.2")
        told.task("2.1")
        told.close()
        project.stop()
        for each in listeners:
            each.join()
    whole = [(row, state) for row in (1, 2, 3) for state in ("started", "finished")]
    tasks = {"1.1": 1, "1.2": 2, "2.1": 3}
    told_steps = sorted(
        [(tasks[str(data["task"])], data["state"]) for _, kind, data in each if kind == "step"] for each in heard
    )
    assert told_steps == sorted([whole, whole, whole[1:]])
    assert all(each[-1][1] == "end" for each in heard)


def test_more_steps_than_are_read_at_once_and_a_window_that_is_too_small(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_pipeline.server.feeds._PAGE", 2)
    monkeypatch.setattr("pytest_pipeline.server.feeds._WINDOW", 3)
    execution = project.execution(count=5)
    with telling(project, execution) as told, serving(project.place()) as client:
        for run in range(1, 6):
            told.task("1.1", run=run)
        told.close()
        found = events(client.get(f"{API}/{execution.id}/events").text)
    steps = [(data["run"], data["state"]) for _, kind, data in found if kind == "step"]
    assert steps == [(run, state) for run in range(1, 6) for state in ("started", "finished")]


def test_a_silent_stream_says_that_it_is_still_there(project: Project) -> None:
    execution = project.execution()
    project.processes.start(execution, is_new=False, arguments=())
    with (
        serving(project.place(keep_alive=0.2)) as client,  # longer than from one look at the store to the next
        client.stream("GET", f"{API}/{execution.id}/events") as answer,
    ):
        text = ""
        for chunk in answer.iter_text():
            text += chunk
            if ": still here" in text:
                break
    assert "event: status" in text


def test_only_so_many_may_listen(project: Project) -> None:
    execution = project.execution()
    project.processes.start(execution, is_new=False, arguments=())
    address = f"{API}/{execution.id}/events"
    with serving(project.place(listeners=1, keep_alive=0.05)) as client:
        with client.stream("GET", address) as answer:
            chunks = answer.iter_text()  # held: whoever drops it hangs up
            assert "event: status" in next(chunks)
            assert client.get(address).status_code == 503
        until(lambda: _may_listen(client, address))


def _may_listen(client: httpx.Client, address: str) -> bool:
    with client.stream("GET", address) as answer:
        return answer.status_code == 200


# Health


def test_healthy_is_a_store_that_can_be_used(client: httpx.Client) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "version": "0.1.0",
        "store": {"name": "store", "state": "ok"},
        "agent": {"name": "reference", "state": "ok"},
        "forge": {"name": "local", "state": "ok"},
    }


def test_without_its_store_it_is_not_healthy_and_starts_nothing(client: httpx.Client, project: Project) -> None:
    execution = project.execution()
    (project.state / "state.db").write_bytes(b"no database" * 100)
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert str(project.path) not in answer.text
    for asked in (
        client.post(f"{API}/start", json=REQUEST),
        client.get(f"{API}/{execution.id}/status"),
        client.get(API),
    ):
        assert asked.status_code == 503
        assert "is not a database" in asked.json()["detail"]
    assert project.started == []
    (project.state / "state.db").unlink()
    until(lambda: client.get("/health").status_code == 200)
    assert status(client, execution.id) == "interrupted"


# Describing itself


def test_the_page_tells_every_route_and_every_field(client: httpx.Client) -> None:
    document, page = client.get("/openapi.json").json(), client.get("/docs").text
    for path in document["paths"]:
        assert path in page
    for name in document["components"]["schemas"]["StartRequest"]["properties"]:
        assert f"<code>{name}</code>" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_restart_loses_nothing(project: Project) -> None:
    with serving(project.place()) as client:
        execution = started(client)
        before = client.get(API).json()
    with serving(project.place()) as client:
        assert client.get(API).json() == before
        assert status(client, execution) == "started"
        assert client.post(f"{API}/start", json=REQUEST).status_code == 409
        assert client.post(f"{API}/{execution}/cancel").status_code == 200
        until(lambda: status(client, execution) == "interrupted")


def test_no_secret_is_in_what_is_kept(project: Project, client: httpx.Client) -> None:
    started(client)
    for file in Path(project.state).rglob("*"):
        if file.is_file():
            assert TOKEN.encode() not in file.read_bytes()
