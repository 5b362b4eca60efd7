from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.execution.prompt import render
from pytest_pipeline.plans.model import (
    CommandCheck,
    Condition,
    Expectation,
    FileChange,
    Options,
    Plan,
    Predicate,
    PredicateCheck,
    ProseCheck,
    ReferenceForm,
    ReferencePart,
    RefusedCheck,
    Relation,
    Task,
    Verb,
)

TASK = Task(
    "1.2",
    "Say <hello> & more",
    "Write it so:\n\n```\n{{ name }} {% raw %}\n```\n",
    3,
    files=(FileChange(Verb.CREATE, "hello.txt", 4), FileChange(Verb.RENAME, "old.txt", 5, "new.txt")),
    verification=(
        CommandCheck("cd src\npytest -q", 6),
        CommandCheck("grep TODO hello.txt", 7, passes_on=1),
        PredicateCheck(Predicate.FILES_EXIST, "Test file exists", 8),
        ProseCheck("Reads well", 9),
        RefusedCheck("npm run dev", "it never ends", 10),
    ),
    acceptance=(ProseCheck("A person likes it", 11),),
    conditions=(Condition(Relation.CONTAINS, "hello.txt", 12, "hello"), Condition(Relation.ABSENT, "tmp", 13)),
    reference=(ReferencePart(ReferenceForm.FILE, "the secret answer", 14, "hello.txt"),),
    options=Options(context="About this task."),
)
PLAN = Plan("plans/hello.md", "Hello", Options(context="About the project."), ())


def test_the_prompt_holds_all_that_the_agent_must_know() -> None:
    prompt = render(PLAN, TASK)

    for text in (
        "# Task 1.2: Say <hello> & more\n\nWrite it so:\n\n```\n{{ name }} {% raw %}\n```\n",
        "About the project.",
        "About this task.",
        "- create: hello.txt\n- rename: old.txt -> new.txt\n",
        "exit status 0:\n\n    cd src\n    pytest -q\n",
        "exit status 1:\n\n    grep TODO hello.txt\n",
        "- Test file exists\n",
        "- hello.txt contains: hello\n- tmp does not exist\n",
        "- Reads well\n- A person likes it\n",
        "- Change only the files listed above.",
        "- Do not commit, push, create branches or open pull requests",
    ):
        assert text in prompt
    assert "npm run dev" not in prompt


def test_a_bare_task_has_no_empty_sections() -> None:
    prompt = render(replace(PLAN, options=Options()), Task("1", "Think", "Think hard.", 1))

    assert [line for line in prompt.splitlines() if line.startswith("#")] == ["# Task 1: Think", "## Rules"]
    assert "\n\n\n" not in prompt


def test_a_task_that_is_to_change_nothing_says_so() -> None:
    prompt = render(PLAN, replace(TASK, expect=Expectation.NO_CHANGES))

    assert "- Change no file at all." in prompt
    assert "- No file has changed." in prompt


def test_the_reference_is_never_in_it_not_even_where_a_template_asks(tmp_path: Path) -> None:
    template = tmp_path / "mine.j2"
    template.write_text("{{ task.reference }} {{ task }} {{ plan }}")

    assert "secret" not in render(PLAN, TASK)
    assert "secret" not in render(replace(PLAN, batches=()), TASK, template=template)


def test_a_projects_own_template_replaces_ours(tmp_path: Path) -> None:
    template = tmp_path / "mine.j2"
    template.write_text("{% for file in task.files %}{{ file.path }};{% endfor %} {{ plan.title }}", encoding="utf-8")

    assert render(PLAN, TASK, template=template) == "hello.txt;old.txt; Hello\n"


def test_a_projects_own_template_may_replace_one_block(tmp_path: Path) -> None:
    template = tmp_path / "prompt.md.j2"
    template.write_text('{% extends "house/prompt.md.j2" %}{% block rules %}Be kind.{% endblock %}', encoding="utf-8")

    prompt = render(PLAN, TASK, template=template)

    assert prompt.startswith("# Task 1.2")
    assert prompt.endswith("Be kind.\n")
    assert "Do not commit" not in prompt


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\n{% if %}\n", r"mine\.md:2: .*TemplateSyntaxError"),
        ("one\ntwo\n{{ tusk.title }}\n", r"mine\.md:3: .*'tusk' is undefined"),
        ("{{ task.titel }}", r"mine\.md:1: .*no attribute 'titel'"),
        ("\n{{ 1 / 0 }}", r"mine\.md:2: .*ZeroDivisionError"),
        ("{% include 'other.md' %}", r"mine\.md:1: .*other\.md"),
    ],
)
def test_a_wrong_template_is_told_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    template = tmp_path / "mine.md"
    template.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=message) as error:
        render(PLAN, TASK, template=template)

    assert str(template) in str(error.value)
    assert "Correct it" in str(error.value)


def test_a_template_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.j2.*cannot be used"):
        render(PLAN, TASK, template=tmp_path / "absent.j2")
