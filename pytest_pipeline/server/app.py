"""The application: routes, errors as answers, and the guard before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp

from pytest_pipeline import __version__
from pytest_pipeline.server.answering import answer_errors
from pytest_pipeline.server.document_routes import document_routes
from pytest_pipeline.server.event_routes import event_routes
from pytest_pipeline.server.guarding import Guard
from pytest_pipeline.server.health_routes import health_routes
from pytest_pipeline.server.page_routes import page_routes
from pytest_pipeline.server.read_routes import read_routes
from pytest_pipeline.server.services import Place, Services
from pytest_pipeline.server.start_routes import start_routes
from pytest_pipeline.server.tokens import ApiToken

_DESCRIPTION = (
    "Start, watch and read executions of plans. Each is a pytest session in a process of its own; what is read comes "
    "from its record. Every request but GET /health brings the header Authorization: Bearer TOKEN."
)


def make_app(place: Place, token: ApiToken, hosts: frozenset[str]) -> ASGIApp:
    """The guarded application.

    Args:
        place: where it works.
        token: what requests must bring.
        hosts: names that requests may ask for, without ports.
    """
    services = Services(place)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        services.store.close()

    app = FastAPI(
        title="pytest-pipeline",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    answer_errors(app, services)
    app.include_router(health_routes(services))
    bearer = [Depends(HTTPBearer(auto_error=False))]  # for the document alone: the guard has looked at the token
    for routes in (start_routes, read_routes, event_routes, document_routes):
        app.include_router(routes(services), dependencies=bearer)
    app.include_router(page_routes(services, token))
    return Guard(app, token, hosts, place.bounds)
