"""Errors as answers, and what all routes say of theirs in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from pytest_pipeline.errors import PipelineError
from pytest_pipeline.server.books import Execution
from pytest_pipeline.server.processes import BusyError
from pytest_pipeline.server.requests import OutsideError, RefusedError
from pytest_pipeline.server.services import Services
from pytest_pipeline.server.shapes import ErrorAnswer

_STATUS: Mapping[type[PipelineError], int] = {RefusedError: 400, OutsideError: 403, BusyError: 409}
_UNAVAILABLE = 503

_MEANINGS = {
    400: "What was asked for cannot be done; `messages` has every reason.",
    401: "The token is missing or wrong.",
    403: "The plan does not lie below a root of plans, or a page of another origin has asked.",
    404: "There is no such thing.",
    408: "The request took too long to come.",
    409: "Not now: the execution runs, or does not run any more.",
    413: "The request is too large.",
    422: "The request has not the right form.",
    429: "Too often; `Retry-After` says when.",
    503: "The store cannot be used, or too many listen.",
}


def errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route says of its errors; those that every route may answer are added.

    Args:
        codes: its own.
    """
    return {
        code: {"model": ErrorAnswer, "description": _MEANINGS[code]}
        for code in sorted({400, 401, 408, 413, 422, 429, 503, *codes})
    }


def known(services: Services, name: str) -> Execution:
    """The execution of that id.

    Raises:
        HTTPException: there is none.
    """
    found = services.book.get(name)
    if found is None:
        raise HTTPException(404, "There is no execution of that id. GET /api/v1/autonomous lists them all.")
    return found


def json_bytes(text: str) -> Response:
    """JSON that is made already."""
    return Response(text, media_type="application/json")


def answer_errors(app: FastAPI, services: Services) -> None:
    """Make errors answers of one shape, with no secret and nothing of what was sent in them."""

    def answer(
        status: int, detail: str, messages: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> Response:
        shape = ErrorAnswer(detail=services.mask(detail), messages=[services.mask(each) for each in messages])
        return JSONResponse(shape.model_dump(), status, headers)

    def on_pipeline_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, PipelineError)
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), _UNAVAILABLE)
        return answer(status, str(error), error.messages if isinstance(error, RefusedError) else ())

    def on_http_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        return answer(error.status_code, str(error.detail), (), error.headers)

    def on_wrong_form(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
        return answer(422, "The request has not the right form. GET /docs tells it.", found)

    app.add_exception_handler(PipelineError, on_pipeline_error)
    app.add_exception_handler(StarletteHTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_wrong_form)
