"""What happens in an execution, as server-sent events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Response
from fastapi.responses import StreamingResponse

from pytest_pipeline.server.answering import errors, known
from pytest_pipeline.server.following import Cursor
from pytest_pipeline.server.services import Services

_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["step", "status", "end", "error"]},
        "data": {"type": "string"},
    },
}


def event_routes(services: Services) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/api/v1/autonomous", tags=["executions"])
    stream = {"content": {"text/event-stream": {"schema": _EVENT}}, "description": "The events."}
    over = {"description": "The execution has ended, and all of it was told: do not connect again."}

    @router.get(
        "/{execution_id}/events",
        response_class=StreamingResponse,
        responses={**errors(404), 200: stream, 204: over},
    )
    async def events(
        execution_id: str, last_event_id: Annotated[str | None, Header(max_length=20_000)] = None
    ) -> Response:
        """`step` when a step begins or ends, `status` when that changes, `end` at the end.

        Whoever sends the id of the last event as `Last-Event-ID` is told exactly what came after it.
        """
        execution, cursor = known(services, execution_id), Cursor.read(last_event_id)
        if services.feeds.free <= 0:
            raise HTTPException(503, "Too many listen already. Ask for the status instead.")
        more = await services.feeds.has_more(execution, cursor)
        if last_event_id is not None and not more:
            return Response(status_code=204)
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(
            services.feeds.listen(execution, cursor), media_type="text/event-stream", headers=headers
        )

    return router
