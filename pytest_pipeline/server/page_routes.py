"""What a person sees: sessions, one session as it fills up, one task; and where the token is given."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from pytest_pipeline.record.report import pages
from pytest_pipeline.server.browsers import HEADERS, LOGIN, given, set_cookie
from pytest_pipeline.server.galleries import Gallery
from pytest_pipeline.server.services import Services
from pytest_pipeline.server.tokens import ApiToken

_A_DAY = {"Cache-Control": "private, max-age=86400"}


def page_routes(services: Services, token: ApiToken) -> APIRouter:
    """The routes; they are no part of the interface for programs."""
    router = APIRouter(include_in_schema=False)
    place = services.place
    gallery = Gallery(services.store, place.state, place.rootdir, services.mask, place.interval)

    @router.get("/")
    async def sessions(page: Annotated[int, Query(ge=1, le=10**6)] = 1) -> HTMLResponse:
        """All sessions, the latest first."""
        return _page(await run_in_threadpool(gallery.sessions, page))

    @router.get("/sessions/{name}")
    async def session(name: str) -> HTMLResponse:
        """One session."""
        return _page(await run_in_threadpool(gallery.session, name), "There is no session of that id.")

    @router.get("/sessions/{name}/overview")
    async def overview(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        """The part of that page that changes; nothing where it has not."""
        found = await run_in_threadpool(gallery.overview, name)
        if found is None:
            return _page(None, "There is no session of that id.")
        if if_none_match == found.tag:
            return Response(status_code=304, headers={"ETag": found.tag})
        return HTMLResponse(found.text, headers={**HEADERS, "ETag": found.tag})

    @router.get("/sessions/{name}/tasks/{anchor}")
    async def task(name: str, anchor: str) -> HTMLResponse:
        """One task run."""
        return _page(await run_in_threadpool(gallery.task, name, anchor), "There is no such task in that session.")

    @router.get(LOGIN)
    async def form() -> HTMLResponse:
        """Where the token is given."""
        return _page(pages.login_page(wrong=False, to="/"))

    @router.post(LOGIN)
    async def login(request: Request) -> Response:
        """Give the token once; the browser keeps a cookie, and goes on to the page that was asked for."""
        brought, to = given(await request.body())
        if not token.opens(brought):
            return HTMLResponse(pages.login_page(wrong=True, to=to), 401, HEADERS)
        return Response(status_code=303, headers={**HEADERS, "Location": to, "Set-Cookie": set_cookie(token)})

    @router.get("/static/page.css")
    async def style() -> Response:
        """The style sheet."""
        return Response(pages.style(), media_type="text/css", headers=_A_DAY)

    @router.get("/static/page.js")
    async def script() -> Response:
        """The script."""
        return Response(pages.script(), media_type="text/javascript", headers=_A_DAY)

    return router


def _page(text: str | None, missing: str = "") -> HTMLResponse:
    if text is None:
        return HTMLResponse(pages.message_page("Not found", f"{missing} The list has them all."), 404, HEADERS)
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), headers=dict(HEADERS))
