"""Which workers share no directory with us, and which arguments they could not find."""

from __future__ import annotations

from pathlib import Path

import pytest
from execnet import XSpec

from pytest_pipeline.cases.parallel.apart import is_apart, refuse_unsent

SPECS = {
    "popen": False,
    "popen//chdir=/elsewhere": False,
    "popen//python=python3": False,
    "popen//via=proxy": True,
    "socket=10.0.0.1:8888": True,
    "ssh=me@host//python=python3": True,
}


@pytest.mark.parametrize(("spec", "apart"), SPECS.items())
def test_only_a_process_of_ours_shares_our_directories(spec: str, apart: bool) -> None:
    assert is_apart(XSpec(spec)) is apart


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    (pytester.path / "plans").mkdir()
    (pytester.path / "plans" / "p.md").touch()
    return pytester.path


def refuse(pytester: pytest.Pytester, spec: str, *arguments: str) -> None:
    refuse_unsent(pytester.parseconfig(*arguments), [XSpec("popen"), XSpec(spec)])


@pytest.mark.parametrize("spec", ["popen//chdir=/elsewhere", "socket=10.0.0.1:8888"])
@pytest.mark.parametrize("argument", ["plans", "plans/p.md::batch-1"])
def test_a_path_that_is_not_sent_is_refused_with_the_one_that_is(
    pytester: pytest.Pytester, project: Path, spec: str, argument: str
) -> None:
    told = f"{argument} is not sent to the workers of --tx"
    for sent in ((), (f"--rsyncdir={project}",)):
        with pytest.raises(pytest.UsageError, match=told) as caught:
            refuse(pytester, spec, argument, *sent)
    whole, option = str(caught.value).rsplit(": ", 1)[1].split()
    refuse(pytester, spec, whole, option)


def test_what_is_no_path_and_what_the_ini_file_sends_is_left_alone(pytester: pytest.Pytester, project: Path) -> None:
    pytester.makeini("[pytest]\nrsyncdirs = plans\n")
    refuse(pytester, "ssh=host", str(project / "plans"), "-k", "x" * 5000)
    with pytest.raises(pytest.UsageError, match="is not sent"):
        refuse(pytester, "ssh=host", str(project))


def test_workers_that_start_here_find_everything(pytester: pytest.Pytester, project: Path) -> None:
    refuse(pytester, "popen//python=python3", "plans")
