"""Whole documents: the JUnit record, transcripts, and the page that tells of the interface."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.execution.material import Shelf
from pytest_pipeline.record.model import TaskRunRecord
from pytest_pipeline.server.answering import errors, known
from pytest_pipeline.server.describing import page
from pytest_pipeline.server.masking import masked_xml
from pytest_pipeline.server.read_routes import Run
from pytest_pipeline.server.services import Services
from pytest_pipeline.server.snapshots import Snapshot
from pytest_pipeline.server.views import run_of

_CHUNK = 64 * 1024
_RECORD_SECONDS = 120.0


def document_routes(services: Services) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["documents"])
    xml = {"content": {"application/xml": {"schema": {"type": "string"}}}, "description": "JUnit XML."}
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "What the agent printed."}

    @router.get(
        "/api/v1/autonomous/{execution_id}/record.xml",
        response_class=Response,
        responses={**errors(404, 409), 200: xml},
    )
    async def record(execution_id: str) -> Response:
        """The JUnit record of an execution that has ended, made from the store."""
        execution = known(services, execution_id)
        standing = await run_in_threadpool(services.reader.standing, execution)
        if standing.session is None or standing.alive:
            raise HTTPException(
                409, "There is no record yet: the execution has not ended, or has not opened a session."
            )
        async with services.records:
            made = await run_in_threadpool(_record, services, standing.session.id)
        return Response(masked_xml(made, services.mask), media_type="application/xml")

    @router.get(
        "/api/v1/autonomous/{execution_id}/transcripts/{task}",
        response_class=StreamingResponse,
        responses={**errors(404), 200: text},
    )
    async def transcript(
        execution_id: str,
        task: str,
        run: Run = None,
        batch: Annotated[str | None, Query(max_length=150, description="Where two batches have such a task.")] = None,
        attempt: Annotated[int | None, Query(ge=1, description="Number of the attempt; default: the last one.")] = None,
    ) -> Response:
        """What the agent printed in a task."""
        execution = known(services, execution_id)
        snapshot = await services.snapshots.of(execution)
        file = await run_in_threadpool(_transcript, services, snapshot, task, run, batch, attempt)
        return StreamingResponse(_masked(services, file), media_type="text/plain; charset=utf-8")

    @router.get("/docs", response_class=HTMLResponse, responses=errors())
    async def docs(request: Request) -> HTMLResponse:
        """This interface for people."""
        return HTMLResponse(page(request.app.openapi()))

    return router


def _record(services: Services, session: str) -> str:
    try:
        done = subprocess.run(
            services.place.record(session),
            cwd=services.place.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_RECORD_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise HTTPException(503, "The record cannot be made now. Ask again later.") from None
    if done.returncode != 0:
        told = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2].removeprefix("ERROR: ")
        raise HTTPException(503, told or "The record cannot be made.")
    return done.stdout.decode("utf-8", "replace")


def _transcript(
    services: Services, snapshot: Snapshot, task: str, run: int | None, batch: str | None, attempt: int | None
) -> Path:
    nothing = HTTPException(404, "There is no such transcript. GET .../batches tells which tasks were tried.")
    session = snapshot.standing.session
    if session is None:
        raise nothing
    place = services.place
    shelf = Shelf.of(place.rootdir, Layout(place.state, session.id, place.state))
    for each in _matching(snapshot, task, run, batch):
        tries = [one for one in each.attempts if attempt in (None, one.number)]
        file = shelf.file(tries[-1]) if tries else None
        if file is not None:
            return file
    raise nothing


def _matching(snapshot: Snapshot, task: str, run: int | None, batch: str | None) -> list[TaskRunRecord]:
    number = run_of(snapshot.runs, run)
    return [
        each
        for each in snapshot.task_runs
        if each.key.run == number and each.key.task == task and batch in (None, each.key.batch)
    ]


def _masked(services: Services, file: Path) -> Iterator[bytes]:
    """The content, without the secrets of this process: who wrote it may not have known them."""
    stream = services.place.secrets.stream()
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield stream.feed(chunk)
    yield stream.close()
