"""``doctor``: what hinders a session is told with its remedy, and nothing is changed anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_pipeline.forges.github.client  # noqa: F401 - else every inner run would import PyGithub anew
from pytest_pipeline.commands.doctor import shown
from pytest_pipeline.findings import Finding
from tests.commands.running import command_here
from tests.e2e.github_project import NAME, TOKEN_VARIABLE, GitHubProject, github_project
from tests.e2e.world import Project
from tests.github_world import Rule


@pytest.fixture
def github(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubProject]:
    with github_project(project, tmp_path_factory.mktemp("github")) as found:
        yield found


def doctor(github: GitHubProject, *arguments: str) -> tuple[int, list[list[str]]]:
    """Exit code, and the words of each line."""
    flags = ("--agent", "reference", *github.flags)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in github.project.environment.items():
            patch.setenv(name, value)
        said = command_here(github.project, "doctor", *flags, *arguments)
    assert said.errors == ""
    return said.exit_code, [line.split() for line in said.lines]


def failed(lines: list[list[str]]) -> list[str]:
    """The failures, each with the line below it."""
    told = [" ".join(line) for line in lines]
    return [" ".join(told[place : place + 2]) for place, line in enumerate(lines) if line[0] == "FAILED"]


def test_a_healthy_project_is_told_and_left_as_it_is(github: GitHubProject) -> None:
    before = sorted(path.relative_to(github.project.path) for path in github.project.path.rglob("*"))

    code, lines = doctor(github)

    assert code == 0
    assert [line[0] for line in lines[:-1]] == ["ok"] * (len(lines) - 1)
    subjects = [line[1] for line in lines[:-1]]
    assert subjects == [
        *("programs", "agent", "store", "token", "repository", "push", "pull", "merge", "rules", "budget")
    ]
    assert lines[-1] == ["Everything", "that", "can", "be", "known", "before", "is", "well."]
    assert sorted(path.relative_to(github.project.path) for path in github.project.path.rglob("*")) == before
    assert github.hosted.pulls == {}
    assert list(github.hosted.branches()) == ["main"]


def test_a_missing_token_is_a_failure_with_what_to_do(github: GitHubProject) -> None:
    del github.project.environment[TOKEN_VARIABLE]

    code, lines = doctor(github)

    assert code == 1
    (said,) = failed(lines)
    assert said.startswith("FAILED forge There is no token for 127.0.0.1:")
    assert f"Set {TOKEN_VARIABLE}, name a file that holds it (mode 600), or run `gh auth login" in said


def test_a_token_that_may_only_read_fails_where_it_would_have_to_write(github: GitHubProject) -> None:
    github.project.environment[TOKEN_VARIABLE] = github.world.add_token("reader", "read")

    code, lines = doctor(github)

    assert code == 1
    pushing, opening = failed(lines)
    assert pushing.startswith(f"FAILED push This token may not push to {NAME}")
    assert pushing.endswith(
        "Give the token's user write access (Settings > Collaborators and teams), or use another token."
    )
    assert opening.startswith(f"FAILED pull requests This token may not open pull requests in {NAME}")


def test_a_forbidden_merge_method_names_the_setting_and_the_option(github: GitHubProject) -> None:
    github.hosted.settings.allow_squash_merge = False

    code, lines = doctor(github)

    assert code == 1
    assert failed(lines) == [
        f"FAILED merge {NAME} does not allow the merge method squash. Turn on Settings > General > Pull Requests > "
        "Allow squash merging, or choose --merge-method merge or rebase (merge_method in a plan)."
    ]
    assert doctor(github, "--merge-method", "rebase")[0] == 0


def test_a_base_that_rules_close_is_a_failure(github: GitHubProject) -> None:
    github.hosted.protect("pipeline/*", Rule(reviews=1, ruleset=True))

    code, lines = doctor(github)

    assert code == 1
    (said,) = failed(lines)
    assert "demands an approving review, so each pull request would wait for ever." in said
    assert "Exclude refs/heads/pipeline/**/* from that ruleset" in said


def test_the_same_stops_a_session_before_its_first_agent(github: GitHubProject) -> None:
    github.hosted.settings.allow_squash_merge = False
    github.hosted.protect("pipeline/*", Rule(reviews=1, ruleset=True))
    github.write("### Task 1.1: Never\n\n**Files:**\n- Create: `a.txt`\n")

    ran = github.run()

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "does not allow the merge method squash. Turn on" in ran.text
    assert "demands an approving review" in ran.text
    assert github.project.left() == []
    assert list(github.hosted.branches()) == ["main"]


def test_a_session_that_the_limits_would_stretch_too_far_does_not_begin(github: GitHubProject) -> None:
    github.write("### Task 1.1: Never\n\n**Files:**\n- Create: `a.txt`\n")

    ran = github.run("plans", "--count", "100", "--forge-pace", "careful", "--forge-time", "5m")

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "GitHub's limits leave 100 tasks to take at least 16 min" in ran.text
    assert "Run fewer tasks, or allow more time with --forge-time." in ran.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--agent", "no-such"), "FAILED agent There is no agent `no-such`"),
        (("--pipeline-store", "nonsense"), "FAILED store The store's URL is not one that SQLAlchemy knows."),
        (("--repo", "./nowhere"), "FAILED forge --repo"),
    ],
)
def test_what_else_hinders_a_session_is_told(project: Project, arguments: tuple[str, ...], said: str) -> None:
    ran = command_here(project, "doctor", "--agent", "reference", *arguments)

    assert ran.exit_code == 1
    assert any(" ".join(line.split()).startswith(said) for line in ran.lines), ran.lines
    assert ran.lines[-1] == "Mend what is marked FAILED, and ask again."


def test_a_store_that_is_there_is_looked_at_and_a_broken_one_told(project: Project) -> None:
    project.write(
        {"plans/p.md": "### Task 1.1: One\n\n**Files:**\n- Create: `a`\n\n**Reference:**\n```sh\necho > a\n```\n"}
    )
    project.run().passed()
    store = project.state / "state.db"
    size = store.stat().st_size

    ran = command_here(project, "doctor", "--agent", "reference")
    assert "ok      store          It is there and whole." in ran.lines
    assert store.stat().st_size == size

    store.write_bytes(b"nonsense" * 100)
    ran = command_here(project, "doctor", "--agent", "reference")
    assert any(line.startswith("FAILED  store") and "not a database" in line for line in ran.lines)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_place_for_the_store_that_cannot_be_written_is_told(project: Project, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    ran = command_here(
        project, "doctor", "--agent", "reference", "--pipeline-store", f"sqlite:///{tmp_path}/a/state.db"
    )

    assert any(line.startswith("FAILED  store") and "can be written" in line for line in ran.lines)


def test_a_store_below_a_file_is_told(project: Project) -> None:
    file = project.path / "README.md"

    ran = command_here(project, "doctor", "--agent", "reference", "--pipeline-store", f"sqlite:///{file}/state.db")

    assert any(line.startswith("FAILED  store") and "is no directory that can be written" in line for line in ran.lines)


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    (line, remedy) = shown(Finding.failed("push", "no \x1b[31mred", "do\x07"))
    assert "\x1b" not in line
    assert "\x07" not in remedy
