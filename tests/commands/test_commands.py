"""The door to all commands, and the project that they are given."""

from __future__ import annotations

import pytest

from pytest_pipeline import commands
from pytest_pipeline.commands import COMMANDS
from pytest_pipeline.errors import ForgeError
from tests.commands.running import command, command_here
from tests.e2e.world import Project


def test_alone_it_prints_help_and_has_done_nothing(bare_project: Project) -> None:
    told = command(bare_project)
    assert (told.exit_code, told.errors) == (2, "")
    assert told.lines[0] == "usage: python -m pytest_pipeline COMMAND [options]"
    for name, does in COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, does] for line in told.lines)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_that_is_asked_for_is_no_error(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main([flag]) == 0
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "nearest"), [("claen", " Did you mean clean?"), ("Clean", " Did you mean clean?"), ("xyz", "")]
)
def test_an_unknown_command_is_one_sentence_with_the_nearest_name(
    name: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main([name, "--yes"]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "",
        f"ERROR: There is no command {name!r}.{nearest} `python -m pytest_pipeline` alone lists them all.\n",
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name: str, bare_project: Project) -> None:
    told = command(bare_project, name, "--help")
    assert (told.exit_code, told.errors) == (0, "")
    assert told.out.startswith(f"usage: python -m pytest_pipeline {name} ")
    assert "-c FILE or -o NAME=VALUE" in " ".join(told.out.split())


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ForgeError("It is not there. Start it."), 1, "ERROR: It is not there. Start it.\n"),
        (KeyboardInterrupt(), 130, "ERROR: Interrupted. What was done is done; run it again for the rest.\n"),
    ],
)
def test_what_ends_a_command_is_told_in_sentences(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr("pytest_pipeline.commands.clean.main", main)
    assert commands.main(["clean"]) == code
    assert capsys.readouterr().err == said


# --- the project ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--merge-method", "z"), "--merge-method must be one of merge, squash, rebase, not 'z'. Correct it"),
        (("--sesion", "x"), "Unrecognized arguments: --sesion. `python -m pytest_pipeline clean --help` lists"),
        (("--forge",), "Argument --forge: expected one argument. `python -m pytest_pipeline clean --help` lists"),
        (("--session",), "Argument --session: expected one argument. `python -m pytest_pipeline clean --help` lists"),
        (("plans",), "python -m pytest_pipeline clean takes options only, not 'plans'. "),
        (("-p", "no:pipeline"), "pytest does not load pytest-pipeline here (-p no:pipeline, or "),
        (("--rootdir=no-such",), "Directory '"),
        (("--forge", "no-such"), "There is no forge 'no-such'. Use --forge local"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_in_one_piece(
    bare_project: Project, arguments: tuple[str, ...], said: str
) -> None:
    (bare_project.path / "plans").mkdir()
    told = command_here(bare_project, "clean", *arguments)
    assert (told.exit_code, told.out) == (4, "")
    assert told.errors.startswith(f"ERROR: {said}")
    assert len(told.errors.strip().splitlines()) == 1


def test_so_is_a_value_in_the_ini_file(bare_project: Project) -> None:
    bare_project.write({"pytest.ini": "[pytest]\npipeline_scope = loose\n"})
    told = command_here(bare_project, "clean")
    assert (told.exit_code, told.out) == (4, "")
    assert told.errors.strip() == (
        "ERROR: pipeline_scope must be one of warn, strict, not 'loose'. Correct it and run again."
    )


def test_a_broken_conftest_is_told_once(bare_project: Project) -> None:
    bare_project.write({"conftest.py": "raise RuntimeError('broken here')\n"})
    told = command(bare_project, "clean")
    assert told.exit_code == 4
    assert told.errors.count("RuntimeError: broken here") == 1
    assert told.errors.startswith("ImportError while loading conftest")
    assert "Nothing is left" not in told.out


ADDOPTS = "--ff --sw -n 2 --random-order --count 3 --junitxml=record.xml -vv --durations=3 -p no:doctest"


def test_other_plugins_in_the_projects_options_do_no_harm_and_nothing_is_written(bare_project: Project) -> None:
    bare_project.write(
        {
            "pytest.ini": f"[pytest]\naddopts = {ADDOPTS}\nunknown_key = 1\ntestpaths = tests\n",
            "conftest.py": "",
            "tests/conftest.py": "",
            "tests/test_a.py": "raise RuntimeError('nobody collects this')\n",
        }
    )
    before = sorted(bare_project.path.rglob("*"))
    told = command(bare_project, "clean")
    assert (told.exit_code, told.errors) == (0, "")
    assert told.lines == ["Nothing is left on the forge local (forge) by sessions that started at least 1d ago."]
    assert sorted(bare_project.path.rglob("*")) == before


@pytest.mark.parametrize("file", ["pytest.ini", "tox.ini", "pyproject.toml"])
def test_the_settings_are_those_that_pytest_finds(
    bare_project: Project, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, value = (
        ("[tool.pytest.ini_options]", '"elsewhere"') if file == "pyproject.toml" else ("[pytest]", "elsewhere")
    )
    for each in bare_project.path.glob("*.ini"):
        each.unlink()
    bare_project.write({file: f"{head}\npipeline_forge = {value}\n", "below/x": ""})
    told = command(bare_project, "clean", directory=bare_project.path / "below")
    assert told.errors.strip() == (
        "ERROR: There is no forge 'elsewhere'. Use --forge local or --forge github, or a conftest with that hook."
    )
    assert command_here(bare_project, "clean", "--forge=local").exit_code == 0
    assert command_here(bare_project, "clean", "-o", "pipeline_forge=local").exit_code == 0
    monkeypatch.setenv("PYTEST_ADDOPTS", "--forge local")
    assert command_here(bare_project, "clean").exit_code == 0
