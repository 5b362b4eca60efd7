"""How executions stand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from pytest_pipeline.server.answering import errors, json_bytes, known
from pytest_pipeline.server.masking import masked_json
from pytest_pipeline.server.services import Services
from pytest_pipeline.server.shapes import (
    BatchesAnswer,
    ListAnswer,
    Number,
    StatusAnswer,
    TaskAnswer,
)
from pytest_pipeline.server.snapshots import Snapshot
from pytest_pipeline.server.views import batches_answer, listed

Run = Annotated[Number | None, Query(description="Number of the run; default: the one that began last.")]


def read_routes(services: Services) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1/autonomous", tags=["executions"])

    @router.get("", response_model=ListAnswer, responses=errors())
    async def executions(
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    ) -> Response:
        """All executions, the newest first."""
        return json_bytes(masked_json(await run_in_threadpool(_page, services, limit, after), services.mask))

    @router.get("/{execution_id}/status", response_model=StatusAnswer, responses=errors(404))
    async def status(execution_id: str) -> Response:
        """How an execution stands."""
        return json_bytes(services.status_json(await services.snapshots.of(known(services, execution_id))))

    @router.get("/{execution_id}/batches", response_model=BatchesAnswer, responses=errors(404))
    async def batches(execution_id: str, run: Run = None) -> Response:
        """The batches of one run, with their tasks."""
        snapshot = await services.snapshots.of(known(services, execution_id))
        return json_bytes(_made(services, snapshot, f"batches {run}", lambda: _batches(snapshot, run)))

    @router.get("/{execution_id}/tasks/{number}", response_model=TaskAnswer, responses=errors(404))
    async def task(
        execution_id: str,
        number: str,
        run: Run = None,
        batch: Annotated[str | None, Query(max_length=150, description="Where two batches have such a task.")] = None,
    ) -> Response:
        """One task in one run."""
        snapshot = await services.snapshots.of(known(services, execution_id))
        found = [
            each
            for of_run in _batches(snapshot, run).batches
            if batch in (None, str(of_run.number))
            for each in of_run.tasks
            if each.number == number
        ]
        if not found:
            raise HTTPException(404, "The execution has no task of that number. GET .../batches lists them all.")
        return json_bytes(masked_json(found[0], services.mask))

    return router


def _page(services: Services, limit: int, after: str | None) -> ListAnswer:
    chosen = list(islice(services.book.after(after), limit + 1))
    shown = [listed(each, services.reader.standing(each)) for each in chosen[:limit]]
    return ListAnswer(executions=shown, next=shown[-1].execution_id if len(chosen) > limit else None)


def _batches(snapshot: Snapshot, run: int | None) -> BatchesAnswer:
    found = batches_answer(snapshot, run)
    if found is None:
        raise HTTPException(404, "The execution has no run of that number. GET .../status tells how many it has.")
    return found


def _made(services: Services, snapshot: Snapshot, name: str, make: Callable[[], BaseModel]) -> str:
    """JSON that is made once for each snapshot."""
    if name not in snapshot.made:
        snapshot.made[name] = masked_json(make(), services.mask).encode()
    return snapshot.made[name].decode()
