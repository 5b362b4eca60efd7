"""One task run: what it records, what it refuses, what it leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.execution.task_run import TaskRun
from tests.e2e.world import plan, task
from tests.execution.stage import Stage
from tests.host.git_world import git

MAKE_A = plan(task(files=["Create: `a.txt`"], verification=["test -e a.txt"], Commit="feat: make a"))


def makes(name: str = "a.txt", text: str = "made\n") -> Callable[[AgentRequest], None]:
    """An agent that writes a file."""

    def act(request: AgentRequest) -> None:
        place = request.workspace / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    return act


def both(*acts: Callable[[AgentRequest], object]) -> Callable[[AgentRequest], None]:
    """An agent that does one after the other."""

    def act(request: AgentRequest) -> None:
        for each in acts:
            each(request)

    return act


def failure(attempt: TaskRun) -> tuple[FailureKind, str]:
    assert attempt.failure is not None
    return attempt.failure.kind, attempt.failure.found


def test_the_steps_follow_each_other_and_the_facts_tell_them(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)

    attempt = stage.attempt(pipeline, act=makes())

    steps = ["prepare", "agent", "verify", "commit", "push", "pull request", "checks", "merge", "outcome", "cleanup"]
    assert stage.onlooker.steps == [f"{step} passed" for step in steps]
    record = pipeline.store.task_run(attempt.key)
    assert record is not None
    assert [step.name for step in record.attempts[0].steps] == steps
    facts = record.attempts[0].properties
    assert facts["pull_request_state"] == "merged"
    assert facts["parent_commit"] == facts["merge_base"] == pipeline.base
    assert facts["base_branch"] == f"pipeline/{pipeline.session}/run-01/base"
    assert facts["branch"] == f"pipeline/{pipeline.session}/run-01/plans.p/batch-1-task-1-1"
    assert facts["merge_commit"] == pipeline.forge.branch_head(facts["base_branch"])
    assert facts["agent_committed"] == "no"


def test_a_failed_step_is_in_the_store_and_nothing_follows_it(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A)

    attempt = stage.attempt(pipeline, act=makes("b.txt"))

    assert stage.onlooker.steps == ["prepare passed", "agent passed", "verify failed", "cleanup passed"]
    assert pipeline.forge.branch_head(attempt.facts["branch"]) is None
    assert pipeline.forge.branch_head(attempt.facts["base_branch"]) == pipeline.base


def test_the_word_of_an_agent_that_it_failed_is_taken(stage: Stage) -> None:
    def gives_up(request: AgentRequest) -> AgentResult:
        makes()(request)
        return AgentResult(AgentStatus.BUDGET, "The money is spent.", output="last words")

    attempt = stage.attempt(stage.open(MAKE_A), act=gives_up)

    assert failure(attempt) == (FailureKind.AGENT, "The agent ended as budget: The money is spent.")
    assert attempt.failure is not None
    assert attempt.failure.output == "last words"
    assert attempt.failure.look_at.endswith("batch-1-task-1-1-agent.log")


def test_an_agent_that_is_not_available_is_no_failure_of_the_task(stage: Stage) -> None:
    attempt = stage.attempt(
        stage.open(plan(task(expect="failure"))), act=lambda _: AgentResult(AgentStatus.UNAVAILABLE, "Overloaded.")
    )

    assert failure(attempt)[0] is FailureKind.INFRASTRUCTURE


def test_what_an_agent_tells_of_itself_is_recorded(stage: Stage) -> None:
    def act(request: AgentRequest) -> AgentResult:
        makes()(request)
        return AgentResult(AgentStatus.OK, "", turns=3, tokens=400, model="m-1", session_id="s-1", survivors=2)

    facts = stage.attempt(stage.open(MAKE_A), act=act).facts

    told = {name: facts[name] for name in ("turns", "tokens", "model", "agent_session", "agent_survivors")}
    assert told == {"turns": "3", "tokens": "400", "model": "m-1", "agent_session": "s-1", "agent_survivors": "2"}


# The agent's surroundings


def test_an_agent_gets_a_private_home_and_temporary_directory_and_no_secret(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MY_API_TOKEN", "GITHUB_TOKEN", "UNRELATED", "GIT_DIR", "GIT_INDEX_FILE", "LC_SECRET_KEY"):
        monkeypatch.setenv(name, "canary-canary")
    monkeypatch.setenv("ALLOWED", "yes")
    seen: dict[str, str] = {}

    def act(request: AgentRequest) -> None:
        seen.update(request.environment)
        makes()(request)

    text = plan(
        task(files=["Create: `a.txt`"]) + "```yaml pipeline\nenvironment: {OWN: own, FLAVOUR: plum}\n```\n",
        front_matter="environment: {FLAVOUR: pear, COLOUR: red}",
    )
    attempt = stage.attempt(stage.open(text, {"pass_environment": "ALLOWED"}), act=act)

    assert attempt.failure is None, attempt.failure
    assert "canary-canary" not in seen.values()
    assert {name: seen[name] for name in ("ALLOWED", "OWN", "FLAVOUR", "COLOUR")} == {
        "ALLOWED": "yes",
        "OWN": "own",
        "FLAVOUR": "plum",
        "COLOUR": "red",
    }
    assert Path(seen["HOME"]).is_relative_to(stage.temporary)
    assert Path(seen["TMPDIR"]).is_relative_to(stage.temporary)
    assert set(seen) - {"PATH", "LANG", "TZ", "TERM"} - {name for name in seen if name.startswith("LC_")} == {
        *("ALLOWED", "OWN", "FLAVOUR", "COLOUR", "HOME", "TMPDIR", "GIT_CEILING_DIRECTORIES")
    }


# Not vacuous


def test_in_run_1_the_verification_runs_on_the_untouched_workspace_which_is_clean_again(stage: Stage) -> None:
    lay: list[str] = []

    def act(request: AgentRequest) -> None:
        lay.extend(sorted(each.name for each in request.workspace.iterdir()))
        makes()(request)

    text = plan(
        task(files=["Create: `a.txt`"], verification=["sh -c 'mkdir -p d/e; touch x.log; rm kept.txt; test -e a.txt'"])
    )
    attempt = stage.attempt(stage.open(text), act=act)

    assert attempt.failure is None, attempt.failure
    assert attempt.facts["vacuous"] == "no"
    assert lay == [".git", ".gitignore", "kept.txt", "run.sh"]


def test_the_home_of_the_agent_holds_nothing_of_the_verification_before(stage: Stage) -> None:
    text = plan(task(files=["Create: `a.txt`"], verification=["sh -c 'touch $HOME/seen $TMPDIR/seen; test -e a.txt'"]))
    lay: list[str] = []

    def act(request: AgentRequest) -> None:
        for name in ("HOME", "TMPDIR"):
            lay.extend(os.listdir(request.environment[name]))
        makes()(request)

    assert stage.attempt(stage.open(text), act=act).failure is None
    assert lay == []


@pytest.mark.parametrize("rule", ["warn", "fail"])
def test_a_verification_that_passes_before_the_agent_starts_is_vacuous(stage: Stage, rule: str) -> None:
    text = plan(task(files=["Create: `a.txt`"], verification=["test -e kept.txt"]))
    acted: list[str] = []

    attempt = stage.attempt(
        stage.open(text, {"vacuous_checks": rule}), act=both(lambda _: acted.append("yes"), makes())
    )

    assert attempt.facts["vacuous"] == "yes"
    if rule == "warn":
        assert attempt.failure is None
        assert attempt.warnings == [
            "its verification passes already before the agent has started, so it proves nothing"
        ]
    else:
        assert failure(attempt)[0] is FailureKind.VERIFICATION
        assert acted == [], "an agent costs money"


@pytest.mark.parametrize(
    ("run", "more"),
    [(2, {}), (1, {"expect": "failure"}), (1, {"expect": "no changes"}), (1, {"verification": []})],
    ids=["run 2", "a failure is expected", "no changes are expected", "no check of its own"],
)
def test_vacuous_is_only_asked_in_run_1_of_a_task_with_checks_that_is_to_change_something(
    stage: Stage, run: int, more: dict[str, object]
) -> None:
    declared: dict[str, object] = {"verification": ["test -e kept.txt"], **more}
    attempt = stage.attempt(stage.open(plan(task(**declared))), run=run)  # type: ignore[arg-type]

    assert attempt.facts.get("vacuous", "no") == "no"


# What lands


def test_what_verification_makes_or_breaks_does_not_land_and_what_git_ignores_neither(stage: Stage) -> None:
    verification = [
        "sh -c 'mkdir __pycache__; touch __pycache__/a.pyc made-by-verification x.log; rm kept.txt; test -e a.txt'"
    ]

    def act(request: AgentRequest) -> None:
        makes()(request)
        makes("build.log")(request)
        makes("__pycache__/b.pyc")(request)

    attempt = stage.attempt(
        stage.open(plan(task(files=["Create: `a.txt`"], verification=verification))), act=act, run=2
    )

    assert attempt.failure is None, attempt.failure
    changed = attempt.run.repository.changes(attempt.facts["parent_commit"], attempt.facts["merge_commit"])
    assert [each.path for each in changed] == ["a.txt"]


def test_a_declared_file_that_git_ignores_is_told_by_name(stage: Stage) -> None:
    def act(request: AgentRequest) -> None:
        makes("a.log")(request)
        makes("b.txt")(request)

    attempt = stage.attempt(stage.open(plan(task(files=["Create: `a.log`"]))), act=act)

    assert failure(attempt)[0] is FailureKind.OUTCOME
    assert "`.gitignore` keeps it out" in failure(attempt)[1].replace(".gitignore", "`.gitignore`")


def test_commits_of_the_agent_itself_are_squashed_and_that_it_made_some_is_recorded(stage: Stage) -> None:
    def act(request: AgentRequest) -> None:
        for number in (1, 2):
            makes("a.txt", f"{number}\n")(request)
            git(request.workspace, "add", "--all")
            git(request.workspace, "commit", "--quiet", "--message", f"my own {number}")

    attempt = stage.attempt(stage.open(MAKE_A), act=act)

    assert attempt.facts["agent_committed"] == "yes"
    assert attempt.run.repository.commit(attempt.facts["commit"]).parents == (attempt.facts["parent_commit"],)


@pytest.mark.parametrize("packed", [False, True])
def test_an_agent_that_packs_its_refs_or_removes_git_made_no_commit(stage: Stage, packed: bool) -> None:
    def act(request: AgentRequest) -> None:
        makes()(request)
        if packed:
            git(request.workspace, "pack-refs", "--all")
        else:
            (request.workspace / ".git").rename(request.workspace.parent / "elsewhere")

    attempt = stage.attempt(stage.open(MAKE_A), act=act)

    assert attempt.failure is None
    assert attempt.facts["agent_committed"] == "no"


def test_an_undeclared_change_is_a_warning_and_a_fact(stage: Stage) -> None:
    attempt = stage.attempt(stage.open(MAKE_A), act=both(makes(), makes("b.txt")))

    assert attempt.failure is None
    assert attempt.facts["undeclared"] == "b.txt"
    assert attempt.warnings == ["files changed that the task does not declare: b.txt"]


# What must be refused


def test_a_failure_that_is_expected_passes_and_nothing_of_it_is_on_the_forge(stage: Stage) -> None:
    pipeline = stage.open(plan(task(files=["Create: `a.txt`"], expect="failure")))

    attempt = stage.attempt(pipeline, act=makes("b.txt"))

    assert attempt.failure is None
    assert attempt.facts["refused_as"] == "outcome"
    assert attempt.facts["refusal"].startswith("Expected a.txt to be created")
    assert pipeline.forge.find_pull_request(attempt.facts["branch"]) is None
    refs = git(Path(pipeline.forge.push_url), "for-each-ref", "--format=%(refname:short)").split()
    assert refs == [attempt.facts["base_branch"]]


def test_a_failure_that_is_expected_and_something_of_it_on_the_forge_fails(stage: Stage) -> None:
    pipeline = stage.open(plan(task(files=["Create: `a.txt`"], expect="failure")))
    branch = f"pipeline/{pipeline.session}/run-01/plans.p/batch-1-task-1-1"
    stage.onlooker.after["agent"] = lambda: pipeline.forge.ensure_base(branch, pipeline.base, pipeline.mirror)

    attempt = stage.attempt(pipeline, act=makes("b.txt"))

    assert failure(attempt)[0] is FailureKind.OUTCOME
    assert "the branch at" in failure(attempt)[1].lower()


def test_a_broken_machine_is_no_refusal(stage: Stage) -> None:
    pipeline = stage.open(plan(task(files=["Create: `a.txt`"], expect="failure")))

    def act(request: AgentRequest) -> None:
        raise_host_error()

    attempt = stage.attempt(pipeline, act=act)

    assert failure(attempt)[0] is FailureKind.INFRASTRUCTURE


def raise_host_error() -> None:
    from pytest_pipeline.errors import HostError

    raise HostError("The disk is full. Make room.")


PROTECTED = ".claude/settings.json"


def test_a_change_to_what_steers_later_agents_is_refused_before_anything_is_pushed(stage: Stage) -> None:
    verification = ["sh -c 'exit 3'"]
    text = plan(task(files=["Create: `a.txt`"], verification=verification, expect=f"file `{PROTECTED}` contains made"))
    pipeline = stage.open(text)

    attempt = stage.attempt(pipeline, act=both(makes(), makes(PROTECTED)))

    assert failure(attempt) == (
        FailureKind.AGENT,
        f"`{PROTECTED}` steers later agents or CI (protected_paths). "
        "Declare it under **Files:** if the task is to change it, or change the setting.",
    )
    assert stage.onlooker.steps == ["prepare passed", "agent failed", "cleanup passed"]
    assert pipeline.forge.branch_head(attempt.facts["branch"]) is None


def test_it_lands_where_the_task_declares_it_or_the_setting_is_empty(stage: Stage) -> None:
    declared = stage.open(plan(task(files=[f"Create: `{PROTECTED}`"])))
    free = stage.open(plan(task(files=["Create: `a.txt`"]), front_matter="protected_paths: []"))

    assert stage.attempt(declared, act=makes(PROTECTED)).failure is None
    assert stage.attempt(free, act=both(makes(), makes(PROTECTED))).failure is None


def test_no_changes_leaves_no_branch_and_no_pull_request(stage: Stage) -> None:
    pipeline = stage.open(plan(task(files=["Read: `kept.txt`"])))

    attempt = stage.attempt(pipeline, act=makes("x.log"))

    assert attempt.failure is None
    assert "commit" not in attempt.facts
    assert pipeline.forge.find_pull_request(attempt.facts["branch"]) is None
    assert pipeline.forge.branch_head(attempt.facts["branch"]) is None


# Attempts and workspaces


def test_another_attempt_has_a_clean_workspace_and_a_branch_and_transcripts_of_its_own(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A, {"keep_workspaces": "never"})
    lay: list[str] = []

    def again(request: AgentRequest) -> None:
        lay.extend(sorted(each.name for each in request.workspace.iterdir()))
        makes()(request)

    first = stage.attempt(pipeline, act=makes("b.txt"))
    second = stage.attempt(pipeline, act=again)

    assert first.failure is not None
    assert second.failure is None
    assert lay == [".git", ".gitignore", "kept.txt", "run.sh"]
    assert (first.number, second.number) == (1, 2)
    assert second.facts["branch"] == f"{first.facts['branch']}-attempt-2"
    assert second.facts["transcript"] != first.facts["transcript"]


@pytest.mark.parametrize(
    ("rule", "passing", "kept"),
    [("never", True, 0), ("never", False, 0), ("failed", True, 0), ("failed", False, 1), ("always", True, 1)],
)
def test_workspaces_are_kept_as_the_user_asks(stage: Stage, rule: str, passing: bool, kept: int) -> None:
    pipeline = stage.open(MAKE_A, {"keep_workspaces": rule})

    attempt = stage.attempt(pipeline, act=makes("a.txt" if passing else "b.txt"))
    pipeline.close()

    assert (attempt.failure is None) is passing
    assert len(pipeline.workspaces.kept) == kept
    assert bool(attempt.kept) is bool(kept)
    assert all((path / "kept.txt").exists() for path in pipeline.workspaces.kept)
    assert len(list(stage.temporary.iterdir())) == kept, "nothing else is left"


def test_git_works_in_a_workspace_that_was_kept(stage: Stage) -> None:
    pipeline = stage.open(plan(task("1.1"), task("1.2", files=["Create: `never.txt`"])))
    stage.attempt(pipeline, "1.1", makes("first.txt"))
    attempt = stage.attempt(pipeline, "1.2", makes("second.txt"))
    assert attempt.failure is not None

    pipeline.finish_run(1, attempt.outcome)
    pipeline.close()

    (kept,) = pipeline.workspaces.kept
    assert git(kept, "status", "--porcelain") == "?? second.txt"
    assert git(kept, "show", "HEAD:first.txt") == "made"


def test_only_so_many_workspaces_are_kept(stage: Stage) -> None:
    pipeline = stage.open(MAKE_A, {"max_workspaces": "2"})

    attempts = [stage.attempt(pipeline, act=makes("b.txt"), run=run) for run in (1, 2, 3)]

    assert [bool(each.kept) for each in attempts] == [True, True, False]


def test_a_vacuous_verification_that_must_fail_fails_in_every_run(stage: Stage) -> None:
    text = plan(task(files=["Create: `a.txt`"], verification=["test -e kept.txt"]))
    attempt = stage.attempt(stage.open(text, {"vacuous_checks": "fail"}), act=makes(), run=2)

    assert attempt.facts["vacuous"] == "yes"
    assert failure(attempt)[0] is FailureKind.VERIFICATION


def test_prose_and_refused_commands_are_counted_for_a_person_to_judge(stage: Stage) -> None:
    text = plan(
        task(files=["Create: `a.txt`"], Verification="\n- It reads well\n- `npm run dev`\n- `test -e a.txt`")
        + "**Acceptance Criteria:**\n- [ ] It is friendly\n"
    )
    attempt = stage.attempt(stage.open(text), act=makes())

    assert attempt.failure is None, attempt.failure
    assert (attempt.facts["judge"], attempt.facts["own_checks"]) == ("3", "1")


def test_the_home_of_the_user_is_passed_when_the_user_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/the/user")
    seen: list[str] = []
    for names in ("", "HOME"):
        pipeline = stage.open(plan(task(files=["Create: `a.txt`"])), {"pass_environment": names} if names else {})
        stage.attempt(pipeline, act=both(lambda request: seen.append(request.environment["HOME"]), makes()))

    assert seen[0] != "/home/of/the/user"
    assert seen[1] == "/home/of/the/user"


def test_a_failure_without_a_better_place_leads_to_the_transcript(stage: Stage) -> None:
    attempt = stage.attempt(stage.open(plan(task(files=["Create: `b.txt`"]))), act=makes())

    assert attempt.failure is not None
    assert attempt.failure.look_at == attempt.facts["transcript"]
