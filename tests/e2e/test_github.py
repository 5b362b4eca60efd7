"""``--forge github`` as a user has it: a checkout, a token in the environment, a server that answers like GitHub."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

import junitparser
import pytest

from pytest_pipeline.events import StepFinished
from tests.e2e.github_project import TOKEN_VARIABLE, GitHubProject
from tests.e2e.world import task
from tests.github_world import Rule
from tests.host.git_world import git

HELLO = task(title="Say hello", files=["Create: `hello.txt`"], does="echo hello > hello.txt")

NOTES_WAITS = """
import json

def pytest_pipeline_forge_waiting(event):
    with open("waits.txt", "a") as file:
        print(json.dumps([event.reason, event.seconds, event.message]), file=file)
"""


def test_a_task_is_merged_on_github_and_only_its_base_branch_stays(github: GitHubProject) -> None:
    github.write(HELLO)
    before = github.hosted.branches()["main"]

    ran = github.run().passed()

    (pull,) = github.hosted.pulls.values()
    prefix = f"pipeline/{ran.session}/run-01"
    assert (pull.now.merged, pull.branch, pull.now.base) == (
        True,
        f"{prefix}/plans.p/batch-1-task-1-1",
        f"{prefix}/base",
    )
    assert github.branches() == {f"{prefix}/base": pull.now.merge_sha}
    assert github.hosted.branches()["main"] == before
    assert github.hosted.git.tree(str(pull.now.merge_sha)).read("hello.txt") == b"hello\n"
    message = github.hosted.git.commit(str(pull.now.merge_sha)).message
    assert f"Pipeline-Session: {ran.session}" in message
    facts = ran.last().properties
    assert facts["pull_request_url"] == f"{github.world.root}/octo/example/pull/1"
    assert facts["merge_commit"] == pull.now.merge_sha


def test_the_checkout_is_only_read(github: GitHubProject) -> None:
    github.write(HELLO)
    before = git(github.project.path, "for-each-ref"), git(github.project.path, "config", "--list", "--local")

    github.run().passed()

    after = git(github.project.path, "for-each-ref"), git(github.project.path, "config", "--list", "--local")
    assert after == before


def test_a_pull_request_tells_what_was_asked_and_where_the_record_is(github: GitHubProject) -> None:
    github.write(
        task(
            title="Ask @octocat about #7",
            files=["Create: `a.txt`"],
            does="echo > a.txt",
            verification=["test -e a.txt"],
        )
    )
    github.project.environment |= {
        "GITHUB_SERVER_URL": "https://github.example.com",
        "GITHUB_REPOSITORY": "o/ci",
        "GITHUB_RUN_ID": "42",
    }

    ran = github.run().passed()

    (pull,) = github.hosted.pulls.values()
    text = pull.now.body or ""
    assert pull.now.title == "Ask @octocat about #7"
    assert f"Run 1 of session `{ran.session}`" in text
    assert "The record: https://github.example.com/o/ci/actions/runs/42\n" in text
    assert "- create: `a.txt`" in text
    assert "```sh\ntest -e a.txt\n```" in text
    assert "@octocat" not in text, "nobody is called by a run"
    assert "echo > a.txt" not in text, "the reference solution is not told"


def test_templates_of_the_project_make_title_and_text(github: GitHubProject) -> None:
    github.write(HELLO)
    github.project.write({"text.md": "{{ task.title }} by {{ agent }}"})

    github.run(
        "plans",
        "-o",
        "pipeline_pull_request_title=[{{ run }}] {{ subject }}",
        "-o",
        "pipeline_pull_request_template=text.md",
    ).passed()

    (pull,) = github.hosted.pulls.values()
    assert pull.now.title == "[1] Say hello"
    assert (pull.now.body or "").startswith("Say hello by reference\n")


def test_without_a_checkout_runs_start_from_the_default_branch_on_github(github: GitHubProject) -> None:
    github.write(HELLO)
    git(github.project.path, "remote", "remove", "origin")
    tip = github.hosted.commit("main", {"newer.txt": "newer\n"})

    ran = github.run("plans", "--repo", "octo/example").passed()

    (pull,) = github.hosted.pulls.values()
    assert ran.last().properties["parent_commit"] == tip
    assert github.hosted.git.tree(str(pull.now.merge_sha)).read("newer.txt") == b"newer\n"


@pytest.mark.parametrize("kind", ["branch", "tag", "commit"])
def test_a_session_may_start_from_a_revision_on_github(github: GitHubProject, kind: str) -> None:
    github.write(HELLO)
    commit = github.hosted.commit("release/1", {"old.txt": "old\n"})
    git(github.hosted.git_dir, "-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "-m", "x", "v1", commit)

    revision = {"branch": "release/1", "tag": "v1", "commit": commit}[kind]
    ran = github.run("plans", "--repo", "octo/example", "--base-commit", revision).passed()

    assert ran.last().properties["parent_commit"] == commit


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--repo", "octo/example", "--base-commit", "no-such"],
            "has no branch, tag or full commit id no-such. Push it",
        ),
        (["--repo", "octo"], "'octo' names no repository on GitHub"),
        (["--repo", "./nowhere"], "there is no git repository"),
        (["-o", "pipeline_pass_environment=GH_TOKEN"], "agents would get the token of the forge. Take it out"),
        (["--token-file", "no-such-file"], "no-such-file cannot be read"),
    ],
)
def test_what_is_wrong_is_one_sentence_before_anything_is_done(
    github: GitHubProject, arguments: list[str], sentence: str
) -> None:
    github.write(HELLO)

    ran = github.run("plans", *arguments)

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR, ran.text
    assert sentence in ran.text
    assert github.changes() == []
    assert github.project.left() == []


def test_a_missing_token_is_told_with_what_to_do(github: GitHubProject) -> None:
    github.write(HELLO)
    del github.project.environment[TOKEN_VARIABLE]

    ran = github.run()

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR
    assert f"There is no token for 127.0.0.1:{github.world.root.rpartition(':')[2]}. Set {TOKEN_VARIABLE}" in ran.text


def test_a_repository_without_an_origin_is_told(github: GitHubProject) -> None:
    github.write(HELLO)
    git(github.project.path, "remote", "remove", "origin")

    ran = github.run()

    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "has no remote `origin`. Name the repository on GitHub with --repo owner/name" in ran.text


def test_the_environment_has_its_token_again_when_the_session_is_over(github: GitHubProject) -> None:
    github.write(HELLO)
    os.environ[TOKEN_VARIABLE] = github.world.token
    try:
        github.run().passed()
        assert os.environ[TOKEN_VARIABLE] == github.world.token
    finally:
        del os.environ[TOKEN_VARIABLE]


def test_a_task_without_merge_leaves_its_pull_request_open(github: GitHubProject) -> None:
    github.write(HELLO)

    ran = github.run("plans", "--no-auto-merge", "-k", "1.1").passed()

    (pull,) = github.hosted.pulls.values()
    assert (pull.now.state, pull.now.merged) == ("open", False)
    assert github.hosted.branches()[pull.branch] == ran.last().properties["commit"]


def test_waits_for_the_limits_are_told_counted_and_recorded(github: GitHubProject) -> None:
    github.write(HELLO)
    github.project.write({"conftest.py": NOTES_WAITS})

    ran = github.run("plans", "-v", "--forge-pace", "documented", "--junitxml=record.xml").passed()

    waits = [json.loads(line) for line in (github.project.path / "waits.txt").read_text().splitlines()]
    assert {reason for reason, _, _ in waits} == {"spacing"}
    told = sum(seconds for _, seconds, _ in waits)
    recorded = ran.last().properties["forge_waited"]
    assert 0 < float(recorded) <= told + 0.1
    assert "waited for the forge's limits: " in ran.text
    suite = junitparser.JUnitXml.fromfile(str(github.project.path / "record.xml"))
    found = {each.get("name"): each.get("value") for each in suite._elem.iter("property")}
    assert found["pipeline.forge_waited"] == recorded


@dataclass(eq=False)  # pytest 8.4 puts plugins into sets
class AfterStep:
    """A plugin that does something once when a step has ended."""

    step: str
    act: Callable[[], object]
    done: bool = False

    def pytest_pipeline_step_finished(self, event: StepFinished) -> None:
        if event.step == self.step and not self.done:
            self.done = True
            self.act()


def base_moves(github: GitHubProject, files: dict[str, str | None], after: str) -> AfterStep:
    """Somebody else merges into the run's base when a step has ended."""

    def act() -> None:
        (base,) = [name for name in github.branches() if name.endswith("/base")]
        github.hosted.commit(base, files)

    return AfterStep(after, act)


@pytest.mark.parametrize("allowed", [True, False], ids=["GitHub updates", "we rebase"])
def test_a_branch_that_rules_want_up_to_date_is_brought_there_and_merged(github: GitHubProject, allowed: bool) -> None:
    github.write(HELLO)
    github.hosted.settings.allow_update_branch = allowed
    github.hosted.protect("pipeline/*/base", Rule(strict=True))

    ran = github.run("plans", "-k", "1.1", plugins=[base_moves(github, {"other.txt": "other\n"}, "pull request")])

    facts = ran.last().properties
    assert str(ran.last().outcome) == "passed", ran.text
    assert facts["updated_commit"] != facts["commit"]
    (pull,) = github.hosted.pulls.values()
    assert pull.now.head_sha == facts["updated_commit"]
    tree = github.hosted.git.tree(str(pull.now.merge_sha))
    assert (tree.read("hello.txt"), tree.read("other.txt")) == (b"hello\n", b"other\n")
    assert [name.rpartition("/")[2] for name in github.branches()] == ["base"]


def test_a_real_conflict_fails_with_its_kind_and_names_the_files(github: GitHubProject) -> None:
    github.write(task(files=["Modify: `kept.txt`"], does="echo mine > kept.txt"))

    ran = github.run("plans", "-k", "1.1", plugins=[base_moves(github, {"kept.txt": "theirs\n"}, "push")])

    assert ran.exit_code == 1
    assert ran.kind() == "conflict"
    assert "both changed kept.txt" in ran.text
    assert github.merged() == []
