"""The page about the server tells every route, every field and every status."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_pipeline.server.shapes import StartRequest, Status
from tests.server.test_contract import OPERATIONS
from tests.test_docs import PAGES, table

PAGE = PAGES["docs/server.md"]


def test_every_request_is_told() -> None:
    assert {told for told, _ in table(PAGE, "request")} == {f"{method} {path}" for method, path in OPERATIONS}


def test_every_field_of_a_start_is_told_with_its_default() -> None:
    told = {name: default for names, _, default in table(PAGE, "field") for name in names.replace("`", "").split(", ")}
    assert set(told) == set(StartRequest.model_fields)
    for name in ("start_batch", "execution_mode", "auto_merge", "count", "rehearse"):
        assert told[name] == str(StartRequest.model_fields[name].default).lower()


def test_every_status_is_told() -> None:
    assert [name for name, _ in table(PAGE, "status")] == [each.value for each in Status]


@pytest.mark.parametrize("option", ["--host", "--api-token-file", "--allow-host", "--plan-root"])
def test_its_options_are_told(option: str) -> None:
    assert f"`{option}" in PAGE
    assert option in Path(__file__).parent.parent.joinpath("pytest_pipeline/commands/serve.py").read_text()
