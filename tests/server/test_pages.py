"""Pages for people, over HTTP: who is let in, what leads where, and that nothing is given away."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import httpx
import pytest

from pytest_pipeline.record.model import Outcome, SessionRecord
from pytest_pipeline.record.report.picture import anchor_of
from pytest_pipeline.server import browsers
from pytest_pipeline.server.guarding import Bounds
from pytest_pipeline.server.limits import Rate
from pytest_pipeline.server.tokens import ApiToken
from tests.server.serving import API, SECRET, TOKEN, Project, Told, now, serving, telling


@pytest.fixture
def told(project: Project) -> Iterator[Told]:
    """A session that is under way: one task has passed, one is begun."""
    with telling(project, project.execution()) as told:
        told.task("1.1", facts={"pull_request": "7", "pull_request_url": "https://example.org/7"})
        told.task("1.2", Outcome.RUNNING, message="")
        yield told


@pytest.fixture
def browser(client: httpx.Client) -> Iterator[httpx.Client]:
    """A browser that has given the token."""
    with httpx.Client(base_url=client.base_url, timeout=30) as browser:
        assert browser.post("/login", data={"token": f" {TOKEN} "}).headers["location"] == "/"
        yield browser


def links(text: str) -> list[str]:
    return re.findall(r'href="([^"#]+)"', text)


# Who is let in


@pytest.mark.parametrize("path", ["/", "/sessions/S", "/sessions/S/overview", "/sessions/S/tasks/x", "/docs"])
def test_without_the_token_a_page_asks_for_it_and_shows_nothing_else(
    client: httpx.Client, told: Told, path: str
) -> None:
    answer = httpx.get(f"{client.base_url}{path}")

    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert '<form method="post" action="/login">' in answer.text
    assert "Title of" not in answer.text
    assert set(links(answer.text)) <= {"/", "/docs", "/static/page.css", "data:,"}


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_can_use(client: httpx.Client) -> None:
    answer = httpx.post(f"{client.base_url}/login", data={"token": TOKEN})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert httpx.get(f"{client.base_url}/", headers={"Cookie": cookie.partition(";")[0]}).status_code == 200


@pytest.mark.parametrize("form", [{}, {"token": "wrong"}, {"token": ""}, {"other": TOKEN}, {"token": [TOKEN, TOKEN]}])
def test_another_token_opens_nothing(client: httpx.Client, form: dict[str, str]) -> None:
    answer = httpx.post(f"{client.base_url}/login", data=form)

    assert answer.status_code == 401
    assert "That is not the token of this server." in answer.text
    assert "set-cookie" not in answer.headers


def cookie_of(text: str) -> str:
    return browsers.set_cookie(ApiToken.of(text)).partition(";")[0]


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "other=1",
        f"pytest_pipeline={TOKEN}",
        cookie_of("another token"),
        f"{cookie_of(TOKEN).partition('=')[0]}={'0' * 64}",
        f"pytest_pipeline_00000000={cookie_of(TOKEN).partition('=')[2]}",
        f"x{cookie_of(TOKEN)}",
    ],
)
def test_another_cookie_opens_nothing(client: httpx.Client, cookie: str) -> None:
    assert httpx.get(f"{client.base_url}/", headers={"Cookie": cookie}).status_code == 401


def test_of_two_servers_side_by_side_neither_signs_the_people_of_the_other_out(client: httpx.Client) -> None:
    other = cookie_of("the token of another server")
    assert other.partition("=")[0] != cookie_of(TOKEN).partition("=")[0]
    forged = f"{cookie_of(TOKEN).partition('=')[0]}={'0' * 64}"
    for brought in ([cookie_of(TOKEN), other], [other, cookie_of(TOKEN)], [forged, cookie_of(TOKEN)]):
        assert httpx.get(f"{client.base_url}/", headers={"Cookie": "; ".join(brought)}).status_code == 200


def test_the_cookie_opens_pages_and_no_interface(browser: httpx.Client, told: Told) -> None:
    assert browser.get("/").status_code == 200
    assert browser.get(API).status_code == 401
    assert browser.post("/docs").status_code == 401
    assert browser.post(f"{API}/start", json={"plan_path": "plans/two.md"}).status_code == 401
    assert browser.post("/").status_code == 401
    assert browser.delete("/sessions/S").status_code == 401


def test_who_gives_wrong_tokens_has_to_wait(project: Project) -> None:
    with serving(project.place(bounds=Bounds(failures=Rate(0.01, 2)))) as client:
        codes = [httpx.post(f"{client.base_url}/login", data={"token": "wrong"}).status_code for _ in range(4)]
        assert codes == [401, 401, 429, 429]


def test_who_gives_the_right_token_never_has_to_wait(project: Project) -> None:
    with serving(project.place(bounds=Bounds(failures=Rate(0.01, 1)))) as client:
        answers = [httpx.post(f"{client.base_url}/login", data={"token": each}) for each in ("wrong", "wrong", TOKEN)]
        assert [each.status_code for each in answers] == [401, 429, 303]
        assert 0 < int(answers[1].headers["retry-after"]) <= 100
        assert "Wait" in answers[1].text
        assert httpx.get(f"{client.base_url}/").status_code == 401


def test_a_form_is_read_only_as_far_as_a_token_is_long() -> None:
    assert browsers.given(b"token=" + b"a" * 30) == (b"Bearer " + b"a" * 30, "/")
    assert browsers.given(b"token=" + b"a" * 700) == (None, "/")
    assert browsers.given(b"token=a&x=" + b"a" * 9000) == (None, "/")
    assert not ApiToken.of(TOKEN).opens(browsers.given(b"token=%0d%0aSet-Cookie:x")[0])


@pytest.mark.parametrize("path", ["/sessions/S?x=1&y=%2F", "/docs"])
def test_who_has_given_the_token_comes_to_the_page_that_was_asked_for(client: httpx.Client, path: str) -> None:
    asked = httpx.get(f"{client.base_url}{path}").text
    [to] = re.findall(r'name="to" type="hidden" value="([^"]*)"', asked)
    to = html.unescape(to)
    again = httpx.post(f"{client.base_url}/login", data={"token": "wrong", "to": to}).text
    assert f'value="{html.escape(to)}"' in again
    assert httpx.post(f"{client.base_url}/login", data={"token": TOKEN, "to": to}).headers["location"] == path


@pytest.mark.parametrize(
    "to", ["//evil.example", "/\\evil.example", "https://evil.example", "", "docs", "/a b", "/a\r\nX: y", "/ä", "/\t/e"]
)
def test_it_leads_to_no_other_server(client: httpx.Client, to: str) -> None:
    assert httpx.post(f"{client.base_url}/login", data={"token": TOKEN, "to": to}).headers["location"] == "/"


def test_a_page_that_only_asks_for_the_token_is_there(client: httpx.Client) -> None:
    answer = httpx.get(f"{client.base_url}/login")
    assert (answer.status_code, '<form method="post" action="/login">' in answer.text) == (200, True)
    assert answer.headers["content-security-policy"] == browsers.HEADERS["Content-Security-Policy"]


def test_a_person_can_read_of_the_interface(browser: httpx.Client, client: httpx.Client) -> None:
    assert "/docs" in links(browser.get("/").text)
    assert "/openapi.json" in links(browser.get("/docs").text)
    assert browser.get("/openapi.json").json() == client.get("/openapi.json").json()


# What is shown


def test_the_list_leads_to_a_session_and_the_session_to_its_tasks(browser: httpx.Client, told: Told) -> None:
    assert "/sessions/S" in links(browser.get("/").text)
    session = browser.get("/sessions/S")
    [first] = [each for each in links(session.text) if each.endswith(anchor_of(told.key("1.1")))]
    task = browser.get(first)

    assert "Task 1.1: Title of 1.1" in task.text
    assert "https://example.org/7" in links(task.text)
    for page in (session, task):
        assert page.status_code == 200
        assert page.headers["content-security-policy"] == browsers.HEADERS["Content-Security-Policy"]
        assert page.headers["x-frame-options"] == "DENY"


def test_the_list_is_told_page_by_page(browser: httpx.Client, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_pipeline.server.galleries.PAGE", 1)
    told.store.open_session(SessionRecord("T", now(), 1, 1, {}))
    first, second = browser.get("/").text, browser.get("/?page=2").text
    assert "/sessions/T" in links(first)
    assert "/?page=2" in links(first)
    assert "/sessions/S" in links(second)
    assert "/?page=3" not in links(second)


def test_what_changes_is_sent_again_only_when_it_has_changed(browser: httpx.Client, told: Told) -> None:
    told.close(1)  # else its time goes on
    first = browser.get("/sessions/S/overview")
    again = browser.get("/sessions/S/overview", headers={"If-None-Match": first.headers["etag"]})

    assert first.status_code == 200
    assert "<html" not in first.text
    assert (again.status_code, again.text) == (304, "")


def test_a_page_has_no_secret_of_the_server(browser: httpx.Client, told: Told) -> None:
    told.task("2.1", Outcome.FAILED, message=f"It said {SECRET}.")

    page = browser.get(f"/sessions/S/tasks/{anchor_of(told.key('2.1'))}")

    assert "It said ***." in page.text
    assert SECRET not in page.text


@pytest.mark.parametrize(
    "path", ["/sessions/nobody", "/sessions/nobody/overview", "/sessions/S/tasks/run-9-x", "/sessions/..%2f..%2fetc"]
)
def test_what_is_not_there_is_told_on_a_page(browser: httpx.Client, told: Told, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404


def test_style_and_script_are_files_of_ours(client: httpx.Client) -> None:
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        answer = httpx.get(f"{client.base_url}/static/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
