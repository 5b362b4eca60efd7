from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from pytest_pipeline.agents.claude.rehearsal.cassette import Cassette, Exchange, find, holds_any, load, path_of, write
from pytest_pipeline.errors import HostError, SettingsError

CASE = "plans.hello/batch-1-task-1-1"
THINKING: dict[str, object] = {"type": "thinking", "thinking": "Grüße, 世界", "signature": "EqQBCkYIB+/="}
CASSETTE = Cassette(
    case=CASE,
    run=1,
    cli="2.1.330",
    model="claude-haiku-5-5",
    prompt_sha256="ab" * 32,
    exchanges=(
        Exchange(0, (), "claude-haiku-5-5", (THINKING,), "tool_use", {"output_tokens": 2, "input_tokens": 1}),
        Exchange(1, ("Write succeeded",), "claude-haiku-5-5", ({"type": "text", "text": "\ud83d"},), "end_turn", {}),
    ),
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "new", CASSETTE)

    assert path == tmp_path / "new" / CASE / "run-01.json"
    assert load(path) == CASSETTE


def test_a_file_is_for_people_and_for_version_control(tmp_path: Path) -> None:
    whole = dataclasses.replace(CASSETTE, exchanges=CASSETTE.exchanges[:1])

    first = write(tmp_path, whole).read_bytes()

    assert write(tmp_path, whole).read_bytes() == first
    assert "Grüße, 世界" in first.decode()
    assert first.endswith(b"}\n")
    assert first.decode().splitlines()[1:3] == ['  "format": "pytest-pipeline cassette",', '  "version": 1,']
    assert list(json.loads(first)["exchanges"][0]["usage"]) == ["input_tokens", "output_tokens"]


def test_a_cassette_that_cannot_be_written_leaves_nothing_half(tmp_path: Path) -> None:
    path = path_of(tmp_path, CASE, 1)
    path.mkdir(parents=True)

    with pytest.raises(HostError, match=r"run-01\.json cannot be written: .*record again"):
        write(tmp_path, CASSETTE)

    assert list(path.parent.iterdir()) == [path]


def test_an_older_cassette_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, dataclasses.replace(CASSETTE, cli="1.0"))

    path = write(tmp_path, CASSETTE)

    assert load(path).cli == "2.1.330"
    assert list(path.parent.iterdir()) == [path]


def _changed(**fields: object) -> bytes:
    raw = {"format": "pytest-pipeline cassette", "version": 1, "case": CASE, "run": 1, "cli": "", "model": ""}
    return json.dumps({**raw, "prompt_sha256": "", "exchanges": [], **fields}).encode()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is no whole JSON text (Expecting value"),
        (_changed()[:-10], "it is no whole JSON text ("),
        (b"\xff\xfe\x00", "it is no whole JSON text ("),
        (b"[" * 100_000, "it is no whole JSON text ("),
        (b"[]", "it does not say"),
        (b'{"version": 1}', 'it does not say "format": "pytest-pipeline cassette"'),
        (_changed(version=2), "it has version 2, and only version 1 is known"),
        (b'{"format": "pytest-pipeline cassette", "version": 1}', "the field 'case' is missing"),
        (_changed(run="1"), "the field 'run' holds '1'"),
        (_changed(exchanges={}), "the field 'exchanges' holds {}"),
        (_changed(exchanges=[3]), "the field 'exchanges' holds 3"),
        (_changed(exchanges=[{"turn": 0}]), "the field 'usage' is missing"),
    ],
    ids=itertools.count(),
)
def test_a_damaged_cassette_is_told_with_its_name_and_the_way_to_mend_it(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "run-01.json"
    path.write_bytes(content)

    with pytest.raises(SettingsError) as raised:
        load(path)

    message = str(raised.value)
    assert message.startswith(f"{path}: this cassette cannot be used: ")
    assert what in message
    assert message.endswith("record the task again with --record-cassette.")


def test_a_cassette_that_is_not_there_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "run-01.json")


def test_a_task_run_gets_the_cassette_of_its_run_or_of_the_lowest(tmp_path: Path) -> None:
    for run in (10, 2, 3):
        write(tmp_path, dataclasses.replace(CASSETTE, run=run))
    (tmp_path / CASE / ".run-01.json.ab12").write_text("half")
    (tmp_path / CASE / "run-01.json.orig").write_text("kept by an editor")

    assert find(tmp_path, CASE, 3) == path_of(tmp_path, CASE, 3)
    assert find(tmp_path, CASE, 7) == path_of(tmp_path, CASE, 2)
    assert find(tmp_path, "plans.hello/batch-1-task-1-2", 1) is None


def test_a_directory_holds_cassettes_or_it_does_not(tmp_path: Path) -> None:
    (tmp_path / "run-x.json").write_text("{}")
    assert not holds_any(tmp_path)

    write(tmp_path, CASSETTE)
    assert holds_any(tmp_path)
