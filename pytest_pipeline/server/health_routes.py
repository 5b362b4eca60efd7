"""``/health``: the one thing that can be asked without a token."""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from pytest_pipeline import __version__
from pytest_pipeline.record.examining import examine_store
from pytest_pipeline.server.answering import errors
from pytest_pipeline.server.services import Services
from pytest_pipeline.server.shapes import HealthAnswer, Part


def health_routes(services: Services) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["health"])
    looking, store, looked = asyncio.Lock(), Part(name="store", state="ok"), float("-inf")

    @router.get(
        "/health", responses={**errors(), 503: {"model": HealthAnswer, "description": "The store cannot be used."}}
    )
    async def health(response: Response) -> HealthAnswer:
        """Whether executions can be started and read."""
        nonlocal store, looked
        async with looking:
            if time.monotonic() - looked >= services.place.interval:
                found = await run_in_threadpool(examine_store, services.place.store_url)
                store, looked = Part(name="store", state="ok" if found.ok else "failed"), time.monotonic()
        response.status_code = 200 if store.state == "ok" else 503
        return HealthAnswer(
            status="healthy" if store.state == "ok" else "unhealthy",
            version=__version__,
            store=store,
            agent=services.place.agent,
            forge=services.place.forge,
        )

    return router
