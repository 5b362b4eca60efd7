"""Verification: what is run, what we check ourselves, what is refused, and what a person must judge."""

from __future__ import annotations

import pytest

from pytest_pipeline.plans.checks import read_item, read_script
from pytest_pipeline.plans.model import Check, CommandCheck, Predicate, PredicateCheck, ProseCheck, RefusedCheck
from tests.plans.labelled_checks import ITEMS
from tests.plans.parsing import plan_of, task_of


def _read(text: str) -> list[Check]:
    if text.startswith("```"):
        info, content = text[3:-3].split("\n", 1)
        return read_script(info, content, 1)
    return read_item(text, 1)


def _is_run(text: str) -> bool:
    return any(isinstance(check, CommandCheck) for check in _read(text))


def test_commands_are_told_from_prose_as_well_as_by_hand() -> None:
    run = {text for _, text in ITEMS if _is_run(text)}
    wanted = {text for label, text in ITEMS if label == "C"}
    assert len(ITEMS) >= 150
    assert len(run & wanted) / len(run) >= 0.96, f"run but should not be: {sorted(run - wanted)}"
    assert len(run & wanted) / len(wanted) >= 0.94, f"should be run: {sorted(wanted - run)}"


@pytest.mark.parametrize("text", [text for label, text in ITEMS if label in "XLH"])
def test_what_must_not_be_run_is_refused_with_a_reason(text: str) -> None:
    (check,) = _read(text)
    assert isinstance(check, RefusedCheck)
    assert check.reason


@pytest.mark.parametrize(
    ("text", "predicate", "paths", "argument"),
    [
        ("Test file exists", Predicate.FILES_EXIST, (), ""),
        ("File exists", Predicate.FILES_EXIST, (), ""),
        ("All three files exist", Predicate.FILES_EXIST, (), ""),
        ("Both files exist.", Predicate.FILES_EXIST, (), ""),
        ("File exists at tools/a.txt", Predicate.FILES_EXIST, ("tools/a.txt",), ""),
        ("File exists at `a b/c.txt`", None, (), ""),
        ("`tools/a.txt` exists", Predicate.FILES_EXIST, ("tools/a.txt",), ""),
        ('Content contains "Parallel Test 1"', Predicate.CONTENT_CONTAINS, (), "Parallel Test 1"),
        ('Content contains "expected: x"', Predicate.CONTENT_CONTAINS, (), "expected: x"),
        ('`a.txt` contains "hello"', Predicate.CONTENT_CONTAINS, ("a.txt",), "hello"),
        ("tools/a.txt contains `hello`", Predicate.CONTENT_CONTAINS, ("tools/a.txt",), "hello"),
        ("JSON file is valid JSON", Predicate.VALID_JSON, (), ""),
        ("Test file is valid JSON", Predicate.VALID_JSON, (), ""),
        ("`config.json` is valid JSON", Predicate.VALID_JSON, ("config.json",), ""),
        ("File has at least 500 lines", Predicate.LINES_AT_LEAST, (), "500"),
        ("This will fail", Predicate.WILL_FAIL, (), ""),
        ("The response is valid JSON", None, (), ""),
        ("Content is good", None, (), ""),
        ("File exists at /etc/passwd", None, (), ""),
        ("Test files exist for all services", None, (), ""),
        ("This should probably fail", None, (), ""),
        ("Page contains a button", None, (), ""),
        ("At least 500 lines are covered", None, (), ""),
    ],
)
def test_the_five_sentences_and_no_other(
    text: str, predicate: Predicate | None, paths: tuple[str, ...], argument: str
) -> None:
    (check,) = read_item(text, 7)
    if predicate is None:
        assert check == ProseCheck(text, 7)
    else:
        assert check == PredicateCheck(predicate, text, 7, paths, argument)


@pytest.mark.parametrize(
    ("text", "passes_on"),
    [
        ("`grep -r old src/` returns nothing", 1),
        ("`grep -r old src/` returns no matches", 1),
        ("`rg old` shows no results", 1),
        ("`grep -c TODO a.py` returns 0", 1),
        ("`git grep old` prints nothing", 1),
        ("Run: `grep -rn old src/`\nExpected: no output", 1),
        ("No leftovers: `grep -r old src/` → no matches", 1),
        ("`grep -q new a.py` returns 0", 0),
        ("`grep -q new a.py` exits 0", 0),
        ("`python a.py` prints nothing", 0),
        ("`./tool.sh x` exits 1", 1),
        ("`pytest` passes", 0),
    ],
)
def test_finding_nothing_is_success_where_the_plan_says_so(text: str, passes_on: int) -> None:
    checks = read_item(text, 1)
    assert [check.passes_on for check in checks if isinstance(check, CommandCheck)] == [passes_on]


@pytest.mark.parametrize(
    "text",
    [
        'Run: `pytest tests/a.py`\nExpected: FAIL with "no attribute"',
        "Run: `pytest tests/a.py` - Expected: FAIL",
        "`python a.py` exits non-zero",
        "Run `pytest` (expected to fail)",
    ],
)
def test_a_step_that_must_fail_is_no_condition(text: str) -> None:
    assert [type(check) for check in read_item(text, 1)] == [ProseCheck]


def test_an_expectation_below_a_command_belongs_to_it() -> None:
    task = task_of(
        "**Verification:**\n\nRun: `pytest a`\n\nExpected: FAIL\n\nRun: `pytest b`\n\nExpected: PASS, 0 failed\n"
    )
    assert [type(check).__name__ for check in task.verification] == ["ProseCheck", "CommandCheck"]


def test_items_keep_their_order_and_lines() -> None:
    task = task_of(
        "**Verification:**\n- pytest\n- [ ] Looks good\n- Run this:\n```bash\nruff check .\n```\n- git commit -m x"
    )
    assert task.verification == (
        CommandCheck("pytest", 3),
        ProseCheck("Looks good", 4),
        CommandCheck("ruff check .", 6),
        RefusedCheck(
            "git commit -m x",
            "it changes the git repository, which is the pipeline's work; leave it out of the verification",
            9,
        ),
    )


def test_every_refused_command_is_noted() -> None:
    plan = plan_of("### Task 1: A\n**Verification:**\n- npm run dev\n- pytest <path>\n")
    assert [note.line for note in plan.notes] == [3, 4]
    assert plan.notes[0].message.startswith("not run: 'npm run dev', because it does not end by itself")


def test_a_block_is_one_script_and_output_is_none() -> None:
    script = 'cd backend\nfor f in *.py; do\n  python -m py_compile "$f"\ndone'
    task = task_of(f"**Verification:**\n```bash\n{script}\n```\nExpected output:\n```\npytest -q\n```\n")
    assert task.verification[0] == CommandCheck(script, 3)
    assert not any(isinstance(check, CommandCheck) for check in task.verification[1:])


def test_wrapped_commands_are_joined() -> None:
    task = task_of("**Verification:**\n- pytest tests/a.py \\\n  -v\n- `npm run\n  build`\n")
    assert [check.command for check in task.verification if isinstance(check, CommandCheck)] == [
        "pytest tests/a.py -v",
        "npm run build",
    ]


def test_tests_and_similar_fields_are_not_verification() -> None:
    task = task_of("**Tests:**\n- pytest\n**Test Results:** `pytest` passes\n")
    assert task.verification == ()


@pytest.mark.parametrize("name", ["Verification", "Verify", "verification steps", "Validation", "Test command"])
def test_spellings_of_verification(name: str) -> None:
    assert task_of(f"**{name}:** `pytest`").verification == (CommandCheck("pytest", 2),)


@pytest.mark.parametrize(
    "name", ["Acceptance Criteria", "Acceptance", "AC", "Done when", "Done-when", "Success Criteria"]
)
def test_acceptance_is_prose_even_if_it_names_a_command(name: str) -> None:
    assert task_of(f"**{name}:** `pytest` passes").acceptance == (ProseCheck("`pytest` passes", 2),)


def test_alternatives_are_for_a_person() -> None:
    assert [type(check) for check in read_item("Run: `make test` (if it exists) or `pytest`", 1)] == [ProseCheck]


def test_a_placeholder_in_quotes_is_data() -> None:
    assert read_item("grep '<domain>' a.html", 1) == [CommandCheck("grep '<domain>' a.html", 1)]


@pytest.mark.parametrize(
    "command",
    ["timeout 5 npm run dev", "uvicorn --version", "docker compose up -d --wait", "git stash list", "git tag -l"],
)
def test_harmless_relatives_of_refused_commands_are_run(command: str) -> None:
    assert read_item(f"`{command}`", 1) == [CommandCheck(command, 1)]
