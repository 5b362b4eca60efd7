"""The answers are those that the OpenAPI document promises, whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from pytest_pipeline.server.guarding import Bounds
from pytest_pipeline.server.limits import Rate
from tests.server.serving import API, TOKEN, Project, serving, telling

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
OPERATIONS = [
    ("GET", "/health"),
    ("GET", "/docs"),
    ("POST", f"{API}/start"),
    ("GET", API),
    *(("POST", f"{API}/{{execution_id}}/{what}") for what in ("cancel", "resume")),
    *(("GET", f"{API}/{{execution_id}}/{what}") for what in ("status", "batches", "tasks/{number}", "events")),
    *(("GET", f"{API}/{{execution_id}}/{what}") for what in ("record.xml", "transcripts/{task}")),
]
EXAMPLES = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    """A server with one execution that has ended, whose programs do nothing; and the id of that execution."""
    project = Project(tmp_path_factory.mktemp("project"), process=("true",))
    plenty = Rate(1e6, 1e6)
    execution = project.execution()
    transcript = Path("sessions", "S", "transcripts", "1.log")
    (project.state / transcript).parent.mkdir(parents=True)
    (project.state / transcript).write_text("Hello")
    with telling(project, execution) as told:
        told.task("1.1", facts={"transcript": str(project.state / transcript), "pull_request": "1"})
        told.close()
    with serving(project.place(bounds=Bounds(changes=plenty, failures=plenty, requests=plenty))) as client:
        yield client, execution.id
    project.stop()


def test_the_document_has_these_operations(served: tuple[httpx.Client, str]) -> None:
    paths = served[0].get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [(*each, known) for each in OPERATIONS for known in (False, True) if not known or "{execution_id}" in each[1]],
)
def test_answers_are_as_the_document_says(
    served: tuple[httpx.Client, str], method: str, path: str, known: bool
) -> None:
    client, execution = served
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    schema.config.update(base_url=str(client.base_url))
    operation = schema[path][method]

    @EXAMPLES
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case[Any]) -> None:
        if known:
            case.path_parameters["execution_id"] = execution
            for name, there in (("number", "1.1"), ("task", "1.1")):
                if name in case.path_parameters:
                    case.path_parameters[name] = there
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, checks=CHECKS, timeout=30)

    ask()
