"""What docs/github.md shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import yaml

from tests.e2e.github_project import TOKEN_VARIABLE, GitHubProject
from tests.e2e.world import task
from tests.host.git_world import git
from tests.test_docs import PAGES, blocks

PAGE = PAGES["docs/github.md"]
HELLO = task(title="Say hello", files=["Create: `hello.txt`"], does="echo hello > hello.txt")


def test_the_template_of_the_page_replaces_a_block_of_ours(github: GitHubProject) -> None:
    (template,) = blocks(PAGE, "jinja pull request")
    github.write(HELLO)
    github.project.write({"text.md": template})

    github.run("plans", "-o", "pipeline_pull_request_template=text.md").passed()

    (pull,) = github.hosted.pulls.values()
    text = pull.now.body or ""
    assert "Run 1 by reference, record: none. Nobody needs to review this." in text
    assert "- create: `hello.txt`" in text


def test_branches_are_called_as_the_page_says(github: GitHubProject) -> None:
    (shown,) = (block for block in blocks(PAGE, "text") if "run-01/base" in block)
    names = re.findall(r"^pipeline/\S+", shown, re.MULTILINE)
    github.write(HELLO)
    github.project.path.joinpath("plans", "p.md").rename(github.project.path / "plans" / "hello.md")

    ran = github.run().passed()

    (pull,) = github.hosted.pulls.values()
    assert [pull.now.base, pull.branch] == [name.replace("SESSION", ran.session) for name in names]


def test_the_steps_of_the_workflow_hand_the_token_over_in_a_file(github: GitHubProject, tmp_path: Path) -> None:
    (workflow,) = blocks(PAGE, "yaml")
    steps = [step.get("run", "") for step in yaml.safe_load(workflow)["jobs"]["prove"]["steps"]]
    (writes,) = (step for step in steps if "umask" in step)
    environment = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path), "TOKEN": github.world.token}
    subprocess.run(["sh", "-c", writes], env=environment, check=True)
    del github.project.environment[TOKEN_VARIABLE]
    github.write(HELLO)

    github.run("plans", "--token-file", str(tmp_path / "token")).passed()

    assert len(github.merged()) == 1


def test_a_commit_that_was_never_pushed_comes_with_the_base_branch(github: GitHubProject) -> None:
    github.write(HELLO)
    git(github.project.path, "commit", "--quiet", "--allow-empty", "--message", "Not pushed")

    ran = github.run().passed()

    assert ran.last().properties["parent_commit"] == git(github.project.path, "rev-parse", "HEAD")
    assert github.hosted.branches()["main"] == git(github.project.path, "rev-parse", "HEAD~1")


def test_a_shallow_checkout_as_ci_makes_it_is_enough(github: GitHubProject, tmp_path: Path) -> None:
    github.write(HELLO)
    git(github.project.path, "commit", "--quiet", "--allow-empty", "--message", "Newer")
    with_token = github.world.git_url("octo/example").replace("://", f"://x-access-token:{github.world.token}@")
    git(github.project.path, "push", "--quiet", with_token, "HEAD:refs/heads/main")
    github.hosted.refresh()
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", with_token, str(shallow))
    git(shallow, "remote", "set-url", "origin", github.world.git_url("octo/example"))

    ran = github.run("plans", "--repo", str(shallow)).passed()

    assert ran.last().properties["parent_commit"] == git(github.project.path, "rev-parse", "HEAD")
