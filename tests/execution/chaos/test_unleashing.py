"""Where chaos may be let in, and where not."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.chaos.answers import ForgetfulForge
from pytest_pipeline.execution.chaos.unleashing import is_loopback, unleash
from pytest_pipeline.forges.github.forge import GitHubForge
from pytest_pipeline.settings import Settings, build
from tests.e2e.world import plan, task
from tests.execution.stage import Stage

PLAN = plan(task(files=["Create: `a.txt`"]))


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8080/api/v3", True),
        ("http://127.9.9.9", True),
        ("https://[::1]:4000", True),
        ("http://localhost:1", True),
        ("https://api.github.com", False),
        ("https://10.0.0.1/api/v3", False),
        ("https://127.0.0.1.example.com", False),
        ("https://localhost.example.com", False),
        ("not a url", False),
    ],
)
def test_only_what_says_so_by_its_address_is_this_machine(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


@pytest.mark.parametrize("anywhere", [False, True])
def test_a_hooks_forge_suffers_chaos_only_where_that_is_asked_for(stage: Stage, anywhere: bool) -> None:
    pipeline = stage.open(PLAN)
    strange = dataclasses.replace(pipeline, forge=ForgetfulForge(pipeline.forge, None))  # type: ignore[arg-type]
    settings = Settings(chaos=1, chaos_anywhere=anywhere)

    if anywhere:
        assert unleash(strange, settings).chaos is not None
    else:
        with pytest.raises(SettingsError, match="--chaos-anywhere"):
            unleash(strange, settings)


@pytest.mark.parametrize("anywhere", [False, True])
def test_github_suffers_chaos_only_where_that_is_asked_for(stage: Stage, anywhere: bool) -> None:
    pipeline = stage.open(PLAN)
    forge = GitHubForge.__new__(GitHubForge)
    forge._client = SimpleNamespace(base_url="https://api.github.com", transport=None)  # type: ignore[assignment]
    there = dataclasses.replace(pipeline, forge=forge)
    settings = Settings(chaos=1, forge="github", chaos_anywhere=anywhere)

    if anywhere:
        assert unleash(there, settings).chaos is not None
        assert forge.client.transport is not None
    else:
        with pytest.raises(SettingsError, match=r"not for https://api\.github\.com"):
            unleash(there, settings)


@pytest.mark.parametrize("given", [{"chaos_rate": "0.1"}, {"chaos_anywhere": True}])
def test_what_goes_with_chaos_is_refused_without_it(given: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="Add --chaos SEED"):
        build(given, {})


@pytest.mark.parametrize("rate", ["1.1", "-0.1", "often", "nan"])
def test_a_rate_is_a_probability(rate: str) -> None:
    with pytest.raises(SettingsError, match="--chaos-rate must be a number from 0 to 1"):
        build({"chaos": "1", "chaos_rate": rate}, {})
