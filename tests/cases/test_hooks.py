"""Every hook of hookspecs.py, answered by a user's conftest."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from pytest_pipeline import hookspecs

from .conftest import Project, batch, failing, task

LOG = """
    import pathlib
    import pytest

    def note(*words):
        with open(pathlib.Path(__file__).parent / "noted.txt", "a") as file:
            print(*words, file=file)
"""


def conftest(project: Project, hook: str) -> None:
    """Write a conftest with a hook that may call ``note``."""
    project.write("conftest.py", dedent(LOG) + dedent(hook))


def noted(project: Project) -> list[str]:
    """What was noted, line by line."""
    path = project.path / "noted.txt"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def plan(project: Project) -> Project:
    project.plan(batch("1", task("1.1")), batch("2", task("2.1"), needs="Batch 1"))
    return project


class TestAgent:
    OWN = """
        from pytest_pipeline.agents.base import AgentResult, AgentStatus

        class Own:
            name = "own"
            version = "7"

            def run(self, request, on_event):
                note("run", "made/1.1.txt" in request.prompt, request.model)
                for part in request.reference:
                    path = request.workspace / part.path
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(part.content)
                return AgentResult(AgentStatus.OK, "Done.")

        def pytest_pipeline_agent(config, settings):
            note("asked for", settings.agent, settings.model, type(config).__name__)
            return Own() if settings.agent == "own" else None
    """

    def test_a_hook_gives_the_agent_of_a_name_once_for_all_tasks_and_runs(self, plan: Project) -> None:
        conftest(plan, self.OWN)

        result = plan.run("plans", "--agent", "own", "--count", "2")

        assert result.code == 0, result.text
        assert noted(plan).count("asked for own None Config") == 1
        assert sum(line.startswith("run") for line in noted(plan)) == 4
        assert "run True None" in noted(plan)
        assert result.property("run-01 1.1", "agent") == "own"
        assert result.property("run-01 1.1", "agent_version") == "7"
        assert "agent own" in result.text

    def test_it_is_asked_again_for_other_settings_of_a_plan(self, plan: Project) -> None:
        conftest(plan, self.OWN)
        plan.plan(batch("1", task("3.1")), name="plans/b.md", front="model: large")

        plan.run("plans", "--agent", "own")

        assert sorted(line for line in noted(plan) if line.startswith("asked")) == [
            "asked for own None Config",
            "asked for own large Config",
        ]

    def test_none_leaves_the_choice_to_the_pipeline(self, plan: Project) -> None:
        conftest(plan, self.OWN)

        assert plan.run("plans").property("1.1", "agent") == "reference"


class TestForge:
    def test_a_hook_gives_the_forge_of_a_name_once(self, plan: Project) -> None:
        conftest(
            plan,
            """
            from pytest_pipeline.forges.local import LocalForge

            class Own(LocalForge):
                name = "own"

            def pytest_pipeline_forge(config, settings):
                note("asked for", settings.forge, type(config).__name__)
                return Own(config.rootpath / "elsewhere.git") if settings.forge == "own" else None
            """,
        )

        result = plan.run("plans", "--forge", "own", "--count", "2")

        assert result.code == 0, result.text
        assert noted(plan) == ["asked for own Config"]
        assert (plan.path / "elsewhere.git" / "HEAD").exists()
        assert "forge own" in result.text

    def test_a_forge_whose_checks_fail_is_told_apart_from_one_that_refuses(self, plan: Project) -> None:
        conftest(
            plan,
            """
            from pytest_pipeline import ChecksError
            from pytest_pipeline.forges.local import LocalForge

            class Strict(LocalForge):
                def wait_until_ready(self, pull_request, rule, timeout):
                    raise ChecksError("The check lint failed. Look at it.")

            def pytest_pipeline_forge(config, settings):
                return Strict(config.rootpath / "strict.git")
            """,
        )

        result = plan.run("plans", "-k", "1.1")

        assert result.property("1.1", "failure_kind") == "checks"
        assert "checks: The check lint failed. Look at it." in result.text

    def test_a_name_that_nobody_knows_is_a_usage_error(self, plan: Project) -> None:
        result = plan.run("plans", "--forge", "no-such")

        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert "There is no forge 'no-such'. Use --forge local or --forge github, or a conftest with that hook." in (
            result.errors + result.text
        )


class TestForgeWaiting:
    def test_a_forge_that_makes_us_wait_is_told_of_and_a_broken_hook_does_not_stop_it(self, plan: Project) -> None:
        conftest(
            plan,
            """
            from pytest_pipeline import ForgeWaiting
            from pytest_pipeline.forges.local import LocalForge

            class Slow(LocalForge):
                def wait_until_ready(self, *arguments):
                    self.observer.forge_waiting(ForgeWaiting("s", "blocked", 42.0, "GitHub asks to wait 42 s."))
                    return super().wait_until_ready(*arguments)

            def pytest_pipeline_forge(config, settings):
                from pytest_pipeline.cases.observing import HookObserver

                forge = Slow(config.rootpath / "slow.git")
                forge.observer = HookObserver(config, lambda fault: note("fault", fault))
                return forge

            def pytest_pipeline_forge_waiting(event):
                note(event.reason, event.seconds)
                raise ValueError("broken")
            """,
        )

        result = plan.run("plans", "-k", "1.1")

        assert result.outcomes["1.1"] == "passed"
        first, second = noted(plan)
        assert first == "blocked 42.0"
        assert second.startswith("fault The hook pytest_pipeline_forge_waiting failed with ValueError: broken")
        assert "GitHub asks to wait 42 s." in result.text


class TestPrompt:
    AGENT = "grep -q 'be polite' && mkdir -p made && echo 1 > made/1.1.txt && echo 1 > made/2.1.txt\n"

    def test_what_a_hook_returns_is_what_the_agent_reads(self, plan: Project) -> None:
        agent = plan.write("agent.sh", self.AGENT)
        conftest(
            plan,
            """
            def pytest_pipeline_prompt(task, prompt):
                note(task.run, task.plan, task.batch, task.task, task.title, task.attempt, len(prompt) > 50)
                return prompt + " be polite" if task.task == "1.1" else None
            """,
        )

        result = plan.run("plans", "--agent", "command", "--agent-command", f"/bin/sh {agent}", "-k", "1.1 or 2.1")

        assert noted(plan)[0] == "1 plans/plan.md 1 1.1 Make 1.1 1 True"
        assert result.outcomes["1.1"] == "passed", result.text
        assert result.outcomes["2.1"] == "failed"  # its prompt was kept


class TestSteps:
    WATCH = """
        def pytest_pipeline_step_started(event):
            note("started", event.task.task, event.step)

        def pytest_pipeline_step_finished(event):
            note("finished", event.task.task, event.step, event.outcome, event.seconds >= 0, bool(event.detail))
    """

    def test_each_step_is_told_when_it_starts_and_when_it_ends(self, project: Project) -> None:
        conftest(project, self.WATCH)
        project.plan(batch("1", task("1.1")))

        project.run("plans", "-k", "1.1")

        steps = [line.removeprefix("started 1.1 ") for line in noted(project) if line.startswith("started")]
        assert steps[:5] == ["prepare", "agent", "verify", "commit", "push"]
        assert steps[-1] == "cleanup"
        assert "merge" in steps
        assert len(steps) == len(set(steps))
        assert noted(project) == [
            line for step in steps for line in (f"started 1.1 {step}", f"finished 1.1 {step} passed True False")
        ]

    def test_a_failed_step_says_so_with_its_reason(self, project: Project) -> None:
        conftest(project, self.WATCH)
        project.plan(batch("1", failing("1.1")))

        project.run("plans")

        assert "finished 1.1 verify failed True True" in noted(project)
        assert not any(" push" in line for line in noted(project))


class TestActivity:
    def test_every_line_of_an_agent_is_told_while_it_works(self, project: Project) -> None:
        agent = project.write(
            "agent.sh", "mkdir -p made; echo one; echo two; test -e noted.txt || echo 1 > made/1.1.txt\n"
        )
        conftest(
            project,
            """
            def pytest_pipeline_agent_activity(event):
                note(event.task.run, event.task.task, event.task.attempt, event.line)
            """,
        )
        project.plan(batch("1", task("1.1")))

        project.run("plans", "--agent", "command", "--agent-command", f"/bin/sh {agent}")

        assert noted(project)[:3] == ["1 1.1 1 runs sh", "1 1.1 1 one", "1 1.1 1 two"]


class TestJudge:
    HOOK = """
        def pytest_pipeline_judge(candidate):
            content = candidate.read("made/1.1.txt")
            there = candidate.workspace.is_dir()
            note(candidate.task.task, candidate.changed, content, candidate.read("no/such"), there)
            return ["It is not signed."] if candidate.task.task == "1.1" else []
    """

    def test_an_objection_fails_the_task_with_kind_outcome_before_anything_is_pushed(self, plan: Project) -> None:
        conftest(plan, self.HOOK)

        result = plan.run("plans", "-k", "1.1")

        assert noted(plan) == ["1.1 ('made/1.1.txt',) b'1.1\\n' None True"]
        assert result.outcomes["1.1"] == "failed"
        assert result.property("1.1", "failure_kind") == "outcome"
        assert result.property("1.1", "pull_request") is None
        assert "It is not signed." in result.text

    def test_no_objection_is_an_empty_list_or_none(self, plan: Project) -> None:
        conftest(plan, "def pytest_pipeline_judge(candidate): return None\n")

        assert plan.run("plans").code == 0

    def test_every_hook_is_asked_and_all_objections_are_told(self, plan: Project) -> None:
        conftest(plan, self.HOOK)
        plan.write("plans/conftest.py", "def pytest_pipeline_judge(candidate): return ['It is not dated.']\n")

        text = plan.run("plans", "-k", "1.1").text

        assert "It is not signed." in text
        assert "It is not dated." in text

    def test_it_is_not_asked_where_the_plans_own_verification_failed(self, project: Project) -> None:
        conftest(project, self.HOOK)
        project.plan(batch("1", failing("1.1")))

        project.run("plans")

        assert noted(project) == []


class TestEnds:
    WATCH = """
        def pytest_pipeline_run_finished(event):
            note("run", event.run, event.outcome, bool(event.session))

        def pytest_pipeline_criterion_decided(event):
            note("criterion", event.required, event.streak, event.met, bool(event.session))
    """

    def test_each_run_is_told_once_and_then_the_criterion_once(self, plan: Project) -> None:
        conftest(plan, self.WATCH)

        plan.run("plans", "--count", "2")

        assert noted(plan) == ["run 1 passed True", "run 2 passed True", "criterion 2 2 True True"]

    def test_a_failed_run_is_told_as_failed(self, project: Project) -> None:
        conftest(project, self.WATCH)
        project.plan(batch("1", failing("1.1")))

        project.run("plans")

        assert noted(project) == ["run 1 failed True", "criterion 1 0 False True"]

    def test_a_rerun_ends_its_run_once(self, project: Project) -> None:
        conftest(project, self.WATCH)
        project.plan(batch("1", failing("1.1")))

        project.run("plans", "--reruns", "1")

        assert noted(project) == ["run 1 failed True", "criterion 1 0 False True"]

    def test_a_run_that_ended_with_its_first_failure_is_told_too(self, project: Project) -> None:
        conftest(project, self.WATCH)
        project.plan(batch("1", task("1.1"), failing("1.2"), task("1.3")))

        project.run("plans", "-x")

        assert noted(project) == ["run 1 failed True", "criterion 1 0 False True"]

    def test_a_run_that_was_broken_off_is_told_as_interrupted(self, project: Project) -> None:
        conftest(project, self.WATCH)
        project.plan(batch("1", task("1.1"), task("1.2")))
        project.write(
            "plans/conftest.py",
            """
            import pytest

            def pytest_runtest_logfinish(nodeid):
                if "1.1" in nodeid:
                    pytest.exit("enough", returncode=2)
            """,
        )

        result = project.run("plans")

        assert result.code == pytest.ExitCode.INTERRUPTED
        assert noted(project) == ["run 1 interrupted True", "criterion 1 0 False True"]


class TestRaising:
    """A hook that raises is told as such: no INTERNALERROR, no traceback through the pipeline."""

    TASK_HOOKS = ("prompt", "step_started", "step_finished", "agent_activity", "judge")

    @pytest.mark.parametrize("name", TASK_HOOKS)
    def test_in_a_task_it_fails_that_task_and_names_hook_and_place(self, plan: Project, name: str) -> None:
        conftest(plan, f"def pytest_pipeline_{name}(): raise ValueError('no good')\n")

        result = plan.run("plans")

        assert "INTERNALERROR" not in result.text
        assert result.outcomes["1.1"] in ("failed", "error")
        assert result.outcomes["2.1"] == "skipped"
        assert result.property("1.1", "failure_kind") == "infrastructure"
        assert f"The hook pytest_pipeline_{name} failed with ValueError: no good (conftest.py:7)" in result.text
        assert "Traceback" not in result.text
        assert result.code == pytest.ExitCode.TESTS_FAILED

    def test_it_does_not_hide_why_the_step_had_failed(self, project: Project) -> None:
        conftest(project, "def pytest_pipeline_step_finished(): raise ValueError('no good')\n")
        project.write(
            "conftest.py",
            """
            def pytest_pipeline_step_finished(event):
                if event.step == "verify":
                    raise ValueError("no good")
            """,
        )
        project.plan(batch("1", failing("1.1")))

        result = project.run("plans")

        assert result.property("1.1", "failure_kind") == "verification"
        assert "error: The hook pytest_pipeline_step_finished failed with ValueError: no good" in result.text

    @pytest.mark.parametrize("name", ["agent", "forge"])
    def test_before_the_first_task_it_is_a_usage_error(self, plan: Project, name: str) -> None:
        conftest(plan, f"def pytest_pipeline_{name}(): raise ValueError('no good')\n")

        result = plan.run("plans")

        told = result.text + result.errors
        assert "INTERNALERROR" not in told
        assert f"The hook pytest_pipeline_{name} failed with ValueError: no good (conftest.py:7)" in told
        assert result.code == pytest.ExitCode.USAGE_ERROR
        assert result.order == []

    @pytest.mark.parametrize("name", ["run_finished", "criterion_decided"])
    def test_at_the_end_it_fails_the_session(self, plan: Project, name: str) -> None:
        conftest(plan, f"def pytest_pipeline_{name}(): raise ValueError('no good')\n")

        result = plan.run("plans")

        assert "INTERNALERROR" not in result.text
        assert f"error: The hook pytest_pipeline_{name} failed with ValueError: no good (conftest.py:7)" in result.text
        assert "criterion met: 1 of 1" in result.text
        assert result.code == pytest.ExitCode.TESTS_FAILED

    def test_a_pipeline_error_of_a_hook_speaks_for_itself(self, plan: Project) -> None:
        conftest(
            plan,
            """
            from pytest_pipeline.errors import SettingsError

            def pytest_pipeline_agent(settings):
                raise SettingsError("Log in first: run `own login`.")
            """,
        )

        result = plan.run("plans")

        assert "Log in first: run `own login`." in result.text + result.errors
        assert "failed with" not in result.text + result.errors


def test_every_hook_is_exercised_here() -> None:
    names = {name for name in vars(hookspecs) if name.startswith("pytest_pipeline_")}

    own = Path(__file__).read_text(encoding="utf-8").partition("class TestRaising")[0]
    assert {name for name in names if f"def {name}(" in own} == names
