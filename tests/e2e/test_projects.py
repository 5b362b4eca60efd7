"""The user's project in all its forms: what runs start from, and that nothing of it is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.world import Project, plan, task
from tests.host.git_world import commit_all, git, source_repository

MAKE_A = plan(task(files=["Create: `a.txt`"], does="ls > a.txt", verification=["test -e a.txt"]))


def state_of(path: Path) -> dict[str, object]:
    """All that git and the file system know of a checkout, without ``.pipeline``."""
    index = (path / ".git/index").read_bytes() if (path / ".git").is_dir() else b""
    return {
        "index": index,  # before git looks, which may refresh it
        "status": git(path, "--no-optional-locks", "status", "--porcelain"),
        "refs": git(path, "for-each-ref"),
        "head": git(path, "rev-parse", "--symbolic-full-name", "HEAD"),
        "stash": git(path, "stash", "list"),
        "reflog": git(path, "reflog", "--all"),
        "config": git(path, "config", "--list", "--local"),
        "worktrees": git(path, "worktree", "list"),
        "files": {
            str(each): each.read_bytes() for each in path.rglob("*") if each.is_file() and ".pipeline" not in each.parts
        },
    }


def test_checkout_branches_index_stash_and_changes_of_the_user_are_not_touched(project: Project) -> None:
    (project.path / "kept.txt").write_text("stashed\n")
    git(project.path, "stash")
    git(project.path, "branch", "mine")
    (project.path / "kept.txt").write_text("changed and not committed\n")
    (project.path / "staged.txt").write_text("staged\n")
    git(project.path, "add", "staged.txt")
    project.write({"plans/p.md": MAKE_A, "untracked.txt": "untracked\n"})
    (project.state).mkdir()
    before = state_of(project.path)

    ran = project.run("plans", "--count", "2", "-p", "no:pytester").passed()

    assert state_of(project.path) == before
    assert "the checkout has changes that are not committed; no run will see them" in ran.text
    assert ran.show("kept.txt") == "one\ntwo\nthree"
    assert ran.show("a.txt").split() == ["README.md", "a.txt", "kept.txt"]


def test_a_clean_checkout_stays_clean_and_is_not_called_dirty(project: Project) -> None:
    (project.path / ".gitignore").write_text("__pycache__/\n")
    commit_all(project.path, {"plans/p.md": MAKE_A})

    ran = project.run().passed()

    assert git(project.path, "status", "--porcelain") == "", ".pipeline ignores itself"
    assert "not committed" not in ran.text


def test_plans_outside_any_repository_start_empty(bare_project: Project) -> None:
    bare_project.write({"plans/p.md": MAKE_A})

    ran = bare_project.run().passed()

    assert ran.files() == ["a.txt"]
    assert "repository (empty)" in ran.text


def test_a_repository_without_commits_starts_empty(bare_project: Project) -> None:
    git(bare_project.path, "init", "--quiet")
    bare_project.write({"plans/p.md": MAKE_A})

    assert bare_project.run().passed().files() == ["a.txt"]
    assert not git(bare_project.path, "for-each-ref")


@pytest.mark.parametrize("form", ["bare", "shallow", "linked"])
def test_other_forms_of_repositories_by_option(bare_project: Project, form: str) -> None:
    bare_project.write({"plans/p.md": MAKE_A})
    source = bare_project.outside / "source"
    source_repository(source, {"one.txt": ""})
    commit_all(source, {"two.txt": ""})
    place = bare_project.outside / form
    if form == "bare":
        git(source, "clone", "--quiet", "--bare", str(source), str(place))
    elif form == "shallow":
        git(source, "clone", "--quiet", "--depth=1", f"file://{source}", str(place))
    else:
        git(source, "worktree", "add", "--quiet", str(place), "HEAD~1")

    ran = bare_project.run("plans", "--repo", str(place), "--count", "2").passed()

    assert ran.files(2) == ["a.txt", "one.txt", *(["two.txt"] if form != "linked" else [])]
    assert git(ran.forge, "fsck", "--no-dangling") == ""


def test_a_submodule_of_the_target_stays_what_it_is(project: Project) -> None:
    library = project.outside / "library"
    source_repository(library, {"lib.txt": ""})
    git(project.path, "submodule", "--quiet", "add", str(library), "library")
    commit_all(project.path, {})
    link = git(project.path, "rev-parse", "HEAD:library")
    project.write(
        {"plans/p.md": plan(task(files=["Create: `a.txt`"], does="ls -A library > a.txt; echo x > library/x"))}
    )

    ran = project.run("plans", "--count", "2").passed()

    base = f"pipeline/{ran.session}/run-02/base"
    assert git(ran.forge, "rev-parse", f"{base}:library") == link
    assert ran.show("a.txt", 2) == ""


def test_the_base_that_a_plan_names_is_where_it_starts(project: Project) -> None:
    git(project.path, "branch", "stable")
    commit_all(project.path, {"new.txt": ""})
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], does="ls > a.txt"), front_matter="base: stable")})

    assert "new.txt" not in project.run().passed().files()


def test_a_base_that_is_not_there_is_told_before_anything_runs(project: Project) -> None:
    project.write({"plans/p.md": plan(task(), front_matter="base: no-such")})

    ran = project.run()

    assert ran.exit_code == 4
    assert "has no such commit or branch" in ran.text
    assert project.left() == []


def test_every_run_starts_from_the_same_commit_and_sees_nothing_of_the_others(project: Project) -> None:
    listing = project.outside / "listing"
    agent = project.agent(
        """
        n=$(cat $OUTSIDE/runs 2>/dev/null | wc -l); git rev-parse HEAD >> $OUTSIDE/runs
        { git rev-list --all --objects | cut -d' ' -f1
          git cat-file --batch-all-objects --batch-check | cut -d' ' -f1; } | sort -u > $OUTSIDE/listing-$n
        find . -path ./.git -prune -o -print | sort > $OUTSIDE/found-$n
        echo "the answer of run $n" > a.txt
        git add a.txt && git -c user.name=a -c user.email=b commit -qm "the answer of run $n"
        """
    )
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], verification=["test -e a.txt"]))})

    ran = project.run("plans", "--count", "3", agent=agent).passed()

    starts = (project.outside / "runs").read_text().split()
    assert starts == [git(project.path, "rev-parse", "HEAD")] * 3
    seen = [listing.with_name(f"listing-{run}").read_text() for run in range(3)]
    assert seen[0] == seen[1] == seen[2]
    found = [listing.with_name(f"found-{run}").read_text() for run in range(3)]
    assert found[0] == found[1] == found[2]
    assert ran.last().properties["agent_committed"] == "yes"
    assert [ran.show("a.txt", run) for run in (1, 2, 3)] == [f"the answer of run {n}" for n in range(3)]


def test_an_agent_that_can_read_the_solutions_is_told_of(project: Project) -> None:
    commit_all(project.path, {"plans/p.md": MAKE_A})
    warning = "pipeline: the base commit holds plans/p.md with its references"

    assert warning in project.run(agent=project.agent("touch a.txt")).passed().text
    assert warning not in project.run().passed().text, "the reference agent is given them anyway"


def test_plans_that_the_base_commit_does_not_hold_are_not_told_of(project: Project) -> None:
    project.write({"plans/p.md": MAKE_A})

    assert "with its references" not in project.run(agent=project.agent("touch a.txt")).passed().text


def test_a_rootdir_above_the_repository_is_no_place_for_the_state(bare_project: Project) -> None:
    source_repository(bare_project.path / "project", {"plans/p.md": MAKE_A})
    bare_project.run("project/plans", "--rootdir", str(bare_project.path)).passed()

    assert (bare_project.path / "project" / ".pipeline" / "state.db").is_file()
    assert not bare_project.state.exists()


def test_a_refusal_is_not_proven_by_an_agent_that_has_nothing_to_replay(project: Project) -> None:
    project.write({"plans/p.md": plan(task(files=["Create: `a.txt`"], expect="failure"))})
    ran = project.run()

    assert ran.exit_code == 1
    assert ran.kind() == "infrastructure"
