"""The JUnit XML that CI keeps.

``tests/data/junit-10.xsd`` is the schema of the Jenkins xUnit plugin, as pytest's own tests use it, with its licence.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
import xmlschema

from pytest_pipeline.commands import main as made_again
from pytest_pipeline.record.junit import PREFIX, TESTCASE_PROPERTIES

from .conftest import Project, batch, failing, task
from .own_agent import own_agent

SCHEMA = Path(__file__).parents[1] / "data" / "junit-10.xsd"
FAMILIES = ("xunit1", "xunit2")


def record(project: Project, *arguments: str, family: str = "xunit2") -> junitparser.JUnitXml:
    """Run the plans, and read what was written."""
    project.run("plans", "--junitxml=record.xml", "-o", f"junit_family={family}", *arguments)
    return junitparser.JUnitXml.fromfile(str(project.path / "record.xml"))


def named(element: junitparser.TestCase | junitparser.TestSuite) -> list[tuple[str, str]]:
    """Names and values of properties."""
    groups = element.iterchildren(junitparser.Properties)  # type: ignore[no-untyped-call]
    return [(each.name, each.value) for group in groups for each in group]


def properties(element: junitparser.TestCase | junitparser.TestSuite) -> dict[str, str]:
    """Properties by name, without prefix."""
    return {name.removeprefix(PREFIX): value for name, value in named(element)}


def case(xml: junitparser.JUnitXml, name: str) -> junitparser.TestCase:
    """The test case of that name."""
    (suite,) = xml
    (found,) = [each for each in suite if each.name == name]
    return found


@pytest.fixture
def mixed(project: Project) -> Project:
    """Tasks that pass, fail, are skipped, and cannot be prepared."""
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture
        def database():
            raise OSError("no database here")
        """,
    )
    broken = "```yaml pipeline\nmarks: [{usefixtures: [database]}]\n```\n"
    project.plan(
        batch("1", task("1.1"), failing("1.2")),
        batch("2", task("2.1"), needs="Batch 1"),
        batch("3", task("3.1", broken)),
    )
    return project


class TestProperties:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_each_task_run_says_what_design_asks_for(self, project: Project, family: str) -> None:
        project.plan(batch("1", task("1.1")), name="plans/hello.md")

        found = properties(case(record(project, family=family), "1.1-make-1.1"))

        assert found["plan"] == "plans/hello.md"
        assert (found["run"], found["batch"], found["task"], found["attempt"]) == ("1", "1", "1.1", "1")
        assert (found["agent"], found["outcome"]) == ("reference", "passed")
        assert found["pull_request_state"] == "merged"
        assert found["branch"].startswith(f"pipeline/{found['session']}/run-01/")
        for name in ("base_commit", "commit", "merge_commit"):
            assert re.fullmatch("[0-9a-f]{40}", found[name]), name
        assert {"pull_request", "pull_request_url", "cost_usd"} <= found.keys()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_the_suite_says_the_criterion_and_where_it_was_met(self, project: Project, family: str) -> None:
        project.plan(batch("1", task("1.1")))

        (suite,) = record(project, "--count", "2", family=family)

        found = properties(suite)
        assert found["criterion.required"] == "2"
        assert found["criterion.streak"] == "2"
        assert found["criterion.met"] == "yes"
        assert found["forge"] == "local"
        assert {"session", "repository", "base_commit", "lower_bound"} <= found.keys()

    def test_a_failure_says_its_kind(self, mixed: Project) -> None:
        xml = record(mixed)

        assert properties(case(xml, "1.2-make-1.2"))["failure_kind"] == "verification"
        assert properties(case(xml, "3.1-make-3.1"))["failure_kind"] == "infrastructure"
        assert properties(case(xml, "2.1-make-2.1"))["outcome"] == "skipped"
        assert "failure_kind" not in properties(case(xml, "1.1-make-1.1"))

    def test_the_final_state_has_its_own(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))

        found = properties(case(record(project), "final-state"))

        assert (found["task"], found["outcome"]) == ("final-state", "passed")

    def test_runs_are_told_apart_by_class_name_and_property(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")))

        (suite,) = record(project, "--count", "2")

        cases = [each for each in suite if each.name == "1.1-make-1.1"]
        assert [each.classname for each in cases] == [f"plans.plan.md.run-0{run}.batch-1" for run in (1, 2)]
        assert [properties(each)["run"] for each in cases] == ["1", "2"]

    def test_a_rerun_task_says_which_attempt_decided(self, project: Project) -> None:
        project.plan(batch("1", failing("1.1")))
        project.run("plans", "--reruns", "1", "--junitxml=record.xml")

        xml = junitparser.JUnitXml.fromfile(str(project.path / "record.xml"))

        (suite,) = xml
        assert properties([each for each in suite if each.name == "1.1-make-1.1"][-1])["attempt"] == "2"

    def test_each_is_a_short_text_and_stands_once(self, mixed: Project) -> None:
        for each in next(iter(record(mixed))):
            names = [name for name, _ in named(each)]
            assert len(names) == len(set(names))
            known = [name for name in names if name.startswith(PREFIX)]
            assert {name.removeprefix(PREFIX) for name in known} >= {"session", "run", "plan", "task", "outcome"}
        assert len(TESTCASE_PROPERTIES) > 8


class TestShape:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_totals_agree_with_the_test_cases(self, mixed: Project, family: str) -> None:
        (suite,) = record(mixed, family=family)

        cases = list(suite)
        assert suite.tests == len(cases) == 5
        for total, kind in (
            (suite.failures, junitparser.Failure),
            (suite.errors, junitparser.Error),
            (suite.skipped, junitparser.Skipped),
        ):
            assert total == sum(isinstance(result, kind) for each in cases for result in each.result) == 1, kind

    def test_a_failing_task_is_a_failure_and_a_failing_environment_an_error(self, mixed: Project) -> None:
        xml = record(mixed)

        assert [type(each) for each in case(xml, "1.2-make-1.2").result] == [junitparser.Failure]
        assert [type(each) for each in case(xml, "3.1-make-3.1").result] == [junitparser.Error]
        assert [type(each) for each in case(xml, "2.1-make-2.1").result] == [junitparser.Skipped]

    def test_the_first_line_of_a_failure_is_its_message(self, mixed: Project) -> None:
        (failure,) = case(record(mixed), "1.2-make-1.2").result

        assert failure.message.startswith("verification: ")
        assert "look at:" in failure.text

    def test_a_plan_that_cannot_be_read_is_an_error(self, project: Project) -> None:
        project.plan(batch("1", task("1.1")), name="plans/good.md")
        project.plan(batch("1", task("1.1"), task("1.1")), name="plans/bad.md")

        (suite,) = record(project)

        assert suite.errors == 1
        assert suite.tests == 3

    def test_its_only_deviation_from_the_schema_is_the_properties_of_test_cases(self, mixed: Project) -> None:
        record(mixed, "--count", "2")
        schema = xmlschema.XMLSchema(SCHEMA)
        tree = ElementTree.parse(mixed.path / "record.xml")
        assert not schema.is_valid(tree)

        for testcase in tree.iter("testcase"):
            for own in testcase.findall("properties"):
                testcase.remove(own)

        schema.validate(tree)


class TestForeignText:
    def test_no_control_character_of_a_command_reaches_xml_or_terminal(self, project: Project) -> None:
        project.write("noise.sh", r"printf 'one\033[31mred\000two\007\377three\n'; exit 1" + "\n")
        project.plan(
            batch("1", task("1.1", "**Verification:**", f"- `sh {project.path}/noise.sh`")),
        )

        result = project.run("plans", "--junitxml=record.xml", "--color=no")

        text = (project.path / "record.xml").read_text(encoding="utf-8")
        for found in (text, result.text):
            assert "red" in found
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", found)
        assert case(junitparser.JUnitXml.fromstring(text.encode()), "1.1-make-1.1").result

    def test_nor_of_a_title_of_a_plan(self, project: Project) -> None:
        path = project.plan(batch("1", failing("1.1").replace("Make 1.1", "Make \x1b[31m1.1\x9b")))
        assert path.exists()

        result = project.run("plans", "--junitxml=record.xml", "--color=no")

        text = (project.path / "record.xml").read_text(encoding="utf-8")
        for found in (text, result.text):
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", found)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_interrupted_is_an_error_of_its_own_name_as_in_the_record_that_is_made_again(
    project: Project, family: str
) -> None:
    own_agent(project, 'if task == "1.2": raise KeyboardInterrupt')
    project.plan(batch("1", task("1.1"), task("1.2"), task("1.3")))

    record(project, family=family)
    made_again(["junit", "latest", "-o", "again.xml", "-o", f"junit_family={family}"])

    one, other = told(project.path / "record.xml"), told(project.path / "again.xml")
    assert list(one) == ["1.1-make-1.1", "1.2-make-1.2"]
    assert one["1.2-make-1.2"] == other["1.2-make-1.2"]
    _, named, errors = one["1.2-make-1.2"]
    assert ("pipeline.outcome", "interrupted") in named
    assert errors == [("interrupted: The session was interrupted.",) * 2]
    assert ElementTree.parse(project.path / "record.xml").find("testsuite[@tests='2'][@errors='1']") is not None


Pairs = list[tuple[str | None, str | None]]


def told(path: Path) -> dict[str | None, tuple[dict[str, str], Pairs, Pairs]]:
    """Test cases by name: attributes but times, properties, errors."""
    return {
        each.get("name"): (
            {name: value for name, value in each.attrib.items() if name != "time"},
            [(one.get("name"), one.get("value")) for one in each.iter("property")],
            [(one.get("message"), one.text) for one in each.iter("error")],
        )
        for each in ElementTree.parse(path).iter("testcase")
    }
