"""Plans that ask for trouble: collected where a scripted model can make it, passed over or refused where none can."""

from __future__ import annotations

import pytest

from .conftest import Project, batch, task

SIMPLE = batch("1", task("1.1"))
TROUBLE = batch("1", task("2.1", "```yaml rehearsal", "trouble: nothing", "ends: ok", "```", "", "**Expect:** failure"))
NAMES = "plans/trouble.md"
LINE = "pipeline: passed over plans/trouble.md, which is for --rehearse only"
# stands in for the Claude CLI: it does what the script says, without a process
PLAYER = """
    from pytest_pipeline import AgentResult, AgentStatus

    class Player:
        name, version, notes, rehearses = "claude (rehearsal)", "1", (), "scripted"

        def run(self, request, on_event):
            if request.trouble is None:
                for part in request.reference:
                    place = request.workspace / part.path
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(part.content)
            return AgentResult(AgentStatus.OK, "Done.")

    def pytest_pipeline_agent(settings):
        return Player() if settings.agent == "claude" and settings.rehearse else None
    """
REHEARSE = ("--agent", "claude", "--rehearse")


@pytest.fixture
def both(project: Project) -> Project:
    """A plan, and one that asks for trouble."""
    project.plan(SIMPLE, name="plans/simple.md")
    project.plan(TROUBLE, name=NAMES)
    project.write("conftest.py", PLAYER)
    return project


def test_in_a_directory_it_is_passed_over_and_the_header_says_so(both: Project) -> None:
    result = both.run("plans")

    assert result.code == 0
    assert result.line("pipeline: passed over") == LINE
    assert result.outcomes == {"1.1": "passed", "final-state": "passed"}
    assert result.text.count("trouble.md") == 1


@pytest.mark.parametrize(
    "arguments", [("-k", "2.1"), ("--count", "2", "--junitxml", "record.xml"), ("--collect-only",)]
)
def test_it_stays_out_whatever_is_asked(both: Project, arguments: tuple[str, ...]) -> None:
    result = both.run("plans", *arguments)

    assert LINE in result.text
    assert not [nodeid for nodeid in result.order if "trouble" in nodeid]
    assert "plans/trouble.md::" not in result.text
    if "--count" in arguments:
        assert result.line("criterion ").startswith("criterion met: 2 of 2")
        assert "trouble" not in (both.path / "record.xml").read_text("utf-8")


def test_alone_it_leaves_nothing_to_run_and_makes_nothing(both: Project) -> None:
    (both.path / "plans/simple.md").unlink()

    result = both.run("plans")

    assert result.code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert LINE in result.text
    assert not (both.path / ".pipeline").exists()


def test_several_are_told_in_one_line_each_once(both: Project) -> None:
    both.plan(TROUBLE, name="plans/deep/more.md")

    for arguments in (("plans",), ("plans", "plans/deep")):
        told = both.run(*arguments).line("pipeline: passed over")
        assert told == "pipeline: passed over plans/trouble.md, plans/deep/more.md, which are for --rehearse only"


def test_with_plans_always_collected_it_is_passed_over_too(both: Project) -> None:
    both.ini("pipeline_collect = always")

    assert LINE in both.run().text


@pytest.mark.parametrize("argument", [NAMES, f"{NAMES}::batch-1"])
@pytest.mark.parametrize("more", [(), ("--collect-only",)])
def test_named_itself_it_is_an_error_that_says_how_to_run_it(
    both: Project, argument: str, more: tuple[str, ...]
) -> None:
    result = both.run(argument, *more)

    assert result.code != 0
    assert "plans/trouble.md:10: only a scripted model makes the trouble of this block; run it with " in result.text
    assert "; run it with --agent claude --rehearse." in result.text
    assert "passed over" not in result.text
    assert "Traceback" not in result.text
    assert not (both.path / ".pipeline").exists()


def test_an_error_in_it_is_told_all_the_same(both: Project) -> None:
    both.plan(TROUBLE.replace("nothing", "nothign"), name=NAMES)

    result = both.run("plans")

    assert "plans/trouble.md:11: 'trouble' must be an HTTP status" in result.text
    assert result.counts == {"passed": 2, "errors": 1}


def test_two_tasks_of_one_name_in_it_are_told_too(both: Project) -> None:
    twins = (task("3.1").replace("Make 3.1", "2 x"), task("3.1-2").replace("Make 3.1-2", "x"))
    both.plan(TROUBLE, batch("2", *twins), name=NAMES)

    assert "two tasks of batch 2 become 3.1-2-x. Rename one." in both.run(NAMES).text


def test_a_rehearsal_collects_and_runs_it(both: Project) -> None:
    result = both.run("plans", *REHEARSE)

    assert result.code == 0
    assert result.outcomes == {"1.1": "passed", "2.1": "passed", "final-state": "passed"}
    assert result.counts == {"passed": 4}
    assert "passed over" not in result.text
    assert result.property("2.1", "refused_as") == "agent"
    assert result.property("2.1", "agent_status") == "ok"


@pytest.mark.parametrize("argument", [NAMES, f"{NAMES}::batch-1::2.1-make-2.1"])
def test_a_rehearsal_runs_it_by_name(both: Project, argument: str) -> None:
    result = both.run(argument, *REHEARSE)

    assert result.code == 0
    assert result.outcomes["2.1"] == "passed"


def test_a_rehearsal_shows_what_it_is_going_to_play(both: Project) -> None:
    text = both.run("--collect-only", "-v", NAMES, *REHEARSE).text

    assert "rehearses: nothing, ends ok" in text


def test_a_cassette_has_no_trouble_on_it(both: Project) -> None:
    cassette = ("--cassette", "tapes")

    assert (
        "pipeline: passed over plans/trouble.md, which is for --rehearse without --cassette only"
        in both.run("plans", "--collect-only", *REHEARSE, *cassette).text
    )
    assert "run it without --cassette." in both.run(NAMES, "--collect-only", *REHEARSE, *cassette).text


def test_under_xdist_the_others_run_and_it_is_an_error_by_name(both: Project) -> None:
    passed = both.run_apart("plans", "-n", "1", "-p", "no:hypothesispytest")
    named = both.run_apart(NAMES, "-n", "1", "-p", "no:hypothesispytest")

    assert passed.code == 0, passed.text
    assert named.code != 0
    assert "run it with --agent claude --rehearse." in named.text
