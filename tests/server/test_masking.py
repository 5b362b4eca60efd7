"""Secrets whose letters are escaped in JSON, HTML and XML, or that are numbers there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree import ElementTree

import httpx
import pytest

from pytest_pipeline.host.redaction import Redactor
from pytest_pipeline.record.model import Outcome
from pytest_pipeline.record.report.picture import anchor_of
from pytest_pipeline.server.masking import masked, masked_xml
from tests.server.serving import API, Project, Told, events, serving, telling

SECRETS = ['it&is"so<secret>\\', "geheim-schlüssel", "12345678"]
RAW = " and ".join(SECRETS)


@pytest.fixture
def told(project: Project) -> Iterator[Told]:
    with telling(project, project.execution(plan=f"{SECRETS[1]}.md")) as told:
        told.task("1.1", Outcome.FAILED, message=f"It said {RAW}.", facts={"pull_request": "7", "model": RAW})
        told.store.fact("S", "agent", RAW)
        told.store.fact("S", "cost", "1")
        told.close(1)
        yield told


@pytest.fixture
def client(project: Project, told: Told) -> Iterator[httpx.Client]:
    with serving(project.place(secrets=Redactor(SECRETS))) as client:
        yield client


def test_answers_have_none_and_stay_json(client: httpx.Client, project: Project) -> None:
    execution = project.book.ids()[0]
    for path in ("", f"/{execution}/status", f"/{execution}/batches", f"/{execution}/tasks/1.1"):
        answer = client.get(f"{API}{path}")
        assert answer.status_code == 200
        assert not [each for each in SECRETS if each in json.dumps(answer.json(), ensure_ascii=False)]
    assert answer.json()["error"] == "It said *** and *** and ***."


def test_events_have_none_and_stay_json(client: httpx.Client, project: Project) -> None:
    found = events(client.get(f"{API}/{project.book.ids()[0]}/events").text)
    assert [data["detail"] for _, _, data in found if "detail" in data] == ["It said *** and *** and ***."]


def test_pages_have_none(client: httpx.Client, told: Told) -> None:
    for path in ("/", "/sessions/S", "/sessions/S/overview", f"/sessions/S/tasks/{anchor_of(told.key('1.1'))}"):
        text = client.get(path).text
        assert "*** and *** and ***" in text
        assert "is&#34;so" not in text
        assert "geheim" not in text


def test_a_record_has_none_and_stays_xml(client: httpx.Client, project: Project) -> None:
    project.record = ("echo", "<a b='x it&amp;is\"so&lt;secret>\\'>geheim-schl&#252;ssel<c/>12345678</a>")
    answer = client.get(f"{API}/{project.book.ids()[0]}/record.xml")
    found = ElementTree.fromstring(answer.text)
    assert (found.get("b"), found.text, found[0].tail) == ("x ***", "***", "***")


def test_where_there_is_none_nothing_is_written_anew() -> None:
    mask = Redactor(SECRETS).text
    assert masked_xml("<?xml version='1.0'?>\n<a  b='1'/>\n", mask) == "<?xml version='1.0'?>\n<a  b='1'/>\n"
    assert masked_xml("12345678 <a", mask) == "*** <a"


def test_what_is_no_text_stays_as_it_is() -> None:
    value = (Outcome.FAILED, 12345678, {"12345678": ["12345678", None]})
    assert masked(value, Redactor(SECRETS).text) == (Outcome.FAILED, 12345678, {"12345678": ["***", None]})
