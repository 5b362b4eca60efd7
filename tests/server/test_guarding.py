"""What stands before every route."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from pytest_pipeline.server.guarding import HEADERS, Bounds
from pytest_pipeline.server.limits import Rate
from tests.server.serving import API, TOKEN, Project, serving

PLENTY = Rate(1e6, 1e6)
AUTHORIZED = f"Authorization: Bearer {TOKEN}"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One server for all tests that only knock: none of them leaves a trace."""
    place = Project(tmp_path_factory.mktemp("project")).place(bounds=Bounds(changes=PLENTY, failures=PLENTY))
    with serving(place) as client:
        yield client


def raw(client: httpx.Client, *lines: str, body: bytes = b"") -> tuple[int, str]:
    """Status and all the rest of what is answered to a request of these lines."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, rest = answer.decode().partition("\r\n")
    return int(head.split()[1]), rest


@pytest.mark.parametrize("path", [API, f"{API}/x/status", "/docs", "/openapi.json", "/nothing", "/health/", "//health"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_without_the_token_nothing_is_told_not_even_what_there_is(
    client: httpx.Client, path: str, header: str | None
) -> None:
    answer = client.get(path, headers={"Authorization": header or ""})
    assert answer.status_code == 401
    assert TOKEN not in answer.text


def test_the_token_is_not_taken_from_the_address(client: httpx.Client) -> None:
    answer = client.get(API, params={"token": TOKEN, "access_token": TOKEN}, headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_health_alone_needs_no_token(client: httpx.Client) -> None:
    assert client.get("/health", headers={"Authorization": ""}).status_code == 200


def test_two_headers_with_a_token_are_none(client: httpx.Client) -> None:
    assert raw(client, f"GET {API} HTTP/1.1", "Host: localhost", AUTHORIZED, "Authorization: Bearer x")[0] == 401
    assert raw(client, f"GET {API} HTTP/1.1", "Host: localhost", AUTHORIZED)[0] == 200


@pytest.mark.parametrize("host", ["Host: LocalHost:1", "Host: 127.0.0.1", "Host: [::1]:80"])
def test_it_is_asked_for_by_its_names(client: httpx.Client, host: str) -> None:
    assert raw(client, "GET /health HTTP/1.1", host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost:1:2", "localhost@evil", "", "0.0.0.0"]
)
def test_under_another_name_not_even_its_health_is_told(client: httpx.Client, host: str) -> None:
    status, text = raw(client, "GET /health HTTP/1.1", f"Host: {host}")
    assert status == 400
    assert "healthy" not in text


def test_two_names_are_none(client: httpx.Client) -> None:
    assert raw(client, "GET /health HTTP/1.1", "Host: localhost", "Host: localhost")[0] == 400


def test_without_a_name_nothing_is_told(client: httpx.Client) -> None:
    assert raw(client, "GET /health HTTP/1.0")[0] == 400


def test_a_body_that_is_announced_too_large_is_not_read(client: httpx.Client) -> None:
    status, _ = raw(client, f"POST {API}/start HTTP/1.1", "Host: localhost", AUTHORIZED, "Content-Length: 99999999999")
    assert status == 413


def test_a_body_that_grows_too_large_is_not_taken(client: httpx.Client) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    lines = (f"POST {API}/start HTTP/1.1", "Host: localhost", AUTHORIZED, "Transfer-Encoding: chunked")
    assert raw(client, *lines, body=chunk * 3 + b"0\r\n\r\n")[0] == 413


def test_a_body_of_the_allowed_size_is_read(client: httpx.Client) -> None:
    assert client.post(f"{API}/start", content=b" " * Bounds().body).status_code == 422


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /health HTTP/1.1", "Host: localhost", "X" * 70_000),
        ("GET /health\x00 HTTP/1.1", "Host: localhost"),
        ("GET /health HTTP/1.1", "Host: localhost", "Content-Length: x"),
        ("GET /health HTTP/1.1", "Host: localhost", "Content-Length: 1", "Content-Length: 2"),
        ("GET /health HTTP/1.1", "Host : localhost"),
    ],
)
def test_headers_that_are_none_are_refused(client: httpx.Client, lines: tuple[str, ...]) -> None:
    assert raw(client, *lines)[0] in (400, 431)
    assert client.get("/health").status_code == 200


def test_what_is_sent_does_not_come_back_in_headers(client: httpx.Client) -> None:
    _, text = raw(client, f"GET {API}/%0d%0aX-Injected:%201/status HTTP/1.1", "Host: localhost", AUTHORIZED)
    assert "x-injected" not in text.lower()


@pytest.mark.parametrize("path", ["/health", API, "/nothing", "/docs"])
def test_every_answer_has_the_headers_of_security_and_none_that_lets_other_pages_read_it(
    client: httpx.Client, path: str
) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = client.get(path, headers={"Origin": "https://evil.example", **headers})
        assert {name: answer.headers[name.decode()].encode() for name in HEADERS} == HEADERS
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "server" not in answer.headers


def test_no_page_may_ask_beforehand_whether_it_may(client: httpx.Client) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options(f"{API}/start", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_whoever_asks_too_often_is_told_when_to_come_back(project: Project) -> None:
    with serving(project.place(bounds=Bounds(requests=Rate(0.01, 2)))) as client:
        answers = [client.get(API) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 100


def test_changes_are_counted_apart_from_looks(project: Project) -> None:
    with serving(project.place(bounds=Bounds(changes=Rate(0.01, 1)))) as client:
        statuses = [client.post(f"{API}/start", json={}).status_code for _ in range(2)]
        assert (statuses, client.get(API).status_code) == ([422, 429], 200)


def test_whoever_guesses_tokens_has_few_tries_and_locks_nobody_out(project: Project) -> None:
    with serving(project.place(bounds=Bounds(failures=Rate(0.01, 2)))) as client:
        wrong = [client.get(API, headers={"Authorization": "Bearer x"}).status_code for _ in range(3)]
        assert (wrong, client.get(API).status_code) == ([401, 401, 429], 200)


def test_strangers_spend_nothing_of_what_the_token_may_do(project: Project) -> None:
    bounds = Bounds(changes=Rate(0.01, 1), failures=Rate(0.01, 1), requests=Rate(0.01, 3))
    with serving(project.place(bounds=bounds)) as client:
        asked = f"{client.base_url}{API}/start"
        strange = [httpx.post(asked, json={}).status_code for _ in range(4)]
        assert strange == [401, 429, 429, 429]
        assert httpx.get(f"{client.base_url}/health").status_code == 429
        assert client.post(asked, json={}).status_code == 422


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://HERE1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://HERE"}, 403),
        ({"Origin": "http://HERE"}, 422),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 422),
        ({"Sec-Fetch-Site": "none"}, 422),
    ],
)
def test_a_page_of_another_origin_changes_nothing(client: httpx.Client, told: dict[str, str], code: int) -> None:
    here = client.base_url.netloc.decode()
    headers = {name: value.replace("HERE", here) for name, value in told.items()}
    assert client.post(f"{API}/start", json={}, headers=headers).status_code == code


def test_a_page_of_another_origin_spends_nothing(project: Project) -> None:
    bounds = Bounds(changes=Rate(0.01, 1), failures=Rate(0.01, 1), requests=Rate(0.01, 1))
    with serving(project.place(bounds=bounds)) as client:
        for _ in range(3):
            answer = httpx.post(
                f"{client.base_url}/login", data={"token": "x"}, headers={"Origin": "https://evil.example"}
            )
            assert answer.status_code == 403
        assert httpx.post(f"{client.base_url}/login", data={"token": TOKEN}).status_code == 303
