"""Starting, cancelling and resuming executions."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from starlette.concurrency import run_in_threadpool

from pytest_pipeline.execution.resuming import is_unfinished
from pytest_pipeline.server.answering import errors, known
from pytest_pipeline.server.books import Execution
from pytest_pipeline.server.services import Services
from pytest_pipeline.server.shapes import ExecutionAnswer, StartAnswer, StartRequest, Status
from pytest_pipeline.server.views import numbers_of


def start_routes(services: Services) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1/autonomous", tags=["executions"])

    @router.post("/start", responses=errors(403, 409))
    async def start(request: StartRequest) -> StartAnswer:
        """Start a plan in a pytest session of its own."""
        execution = await run_in_threadpool(_start, services, request)
        return StartAnswer(execution_id=execution.id, status=Status.STARTED, batches_scheduled=numbers_of(execution))

    @router.post("/{execution_id}/cancel", responses=errors(403, 404, 409))
    async def cancel(execution_id: str) -> ExecutionAnswer:
        """End an execution as Ctrl-C would: agents end, what is under way is interrupted, the record is closed."""
        execution = known(services, execution_id)
        if not await run_in_threadpool(services.processes.interrupt, execution):
            raise HTTPException(409, "No process of this server carries this execution on: there is nothing to cancel.")
        services.snapshots.forget(execution)
        standing = await run_in_threadpool(services.reader.standing, execution)
        return ExecutionAnswer(execution_id=execution.id, status=standing.status)

    @router.post("/{execution_id}/resume", responses=errors(403, 404, 409))
    async def resume(execution_id: str) -> ExecutionAnswer:
        """Go on with an execution that did not come to its end; nothing that was proved is done again."""
        execution = known(services, execution_id)
        await run_in_threadpool(_resume, services, execution)
        services.snapshots.forget(execution)
        return ExecutionAnswer(execution_id=execution.id, status=Status.STARTED)

    return router


def _start(services: Services, request: StartRequest) -> Execution:
    services.store()  # what cannot be recorded is not begun
    execution = services.desk.take(request)
    services.processes.start(execution, is_new=True, arguments=execution.arguments)
    return execution


def _resume(services: Services, execution: Execution) -> None:
    standing = services.reader.standing(execution)
    if standing.alive:
        raise HTTPException(409, "The execution runs. Wait until it has ended, or cancel it.")
    services.desk.check(execution)
    if standing.session is None:  # it never opened one, so there is nothing to take up: it begins
        services.processes.start(execution, is_new=False, arguments=execution.arguments)
        return
    if not is_unfinished(services.store(), standing.session):
        raise HTTPException(409, "The execution came to its end: nothing is left to do. Start a new one.")
    arguments = (f"--resume={standing.session.id}", *execution.resumed)
    services.processes.start(execution, is_new=False, arguments=arguments)
