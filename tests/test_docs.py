"""The documentation is complete and true: every name of the code is in it, every example of it works."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml

import pytest_pipeline
import pytest_pipeline.cases.collect  # an inner run forgets what it imports itself; import it once for all of them
import pytest_pipeline.execution.final_state
import pytest_pipeline.execution.task_run
from pytest_pipeline import events, hookspecs
from pytest_pipeline.cases.verdict import CRITERION_NOT_MET
from pytest_pipeline.errors import FailureKind
from pytest_pipeline.execution.chaos.faults import CATALOGUE
from pytest_pipeline.option import Option
from pytest_pipeline.options import OPTIONS
from pytest_pipeline.plans import fields, front_matter, grammar, parse_plan, read_plan, rehearsal
from pytest_pipeline.plans.model import (
    CommandCheck,
    Expectation,
    Plan,
    Predicate,
    PredicateCheck,
    ProseCheck,
    ReferenceForm,
    RefusedCheck,
    Status,
    Task,
    Verb,
)
from pytest_pipeline.record import evidence, schema
from pytest_pipeline.record.criterion import judge
from pytest_pipeline.record.junit import SUITE_PROPERTIES, TESTCASE_PROPERTIES
from pytest_pipeline.record.matrix import SYMBOLS
from pytest_pipeline.record.model import Outcome, RunRecord, SessionRecord, TaskRunKey, TaskRunRecord
from pytest_pipeline.record.summary import summary
from pytest_pipeline.settings import Settings
from pytest_pipeline.trouble import Trouble, TroubleKind
from pytest_pipeline.values import duration

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
}
README, PLANS, HOOKS, RECORD = (
    PAGES[name] for name in ("README.md", "docs/plans.md", "docs/hooks.md", "docs/record.md")
)
REHEARSED = "plans/trouble.md"
EXAMPLES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "plans").glob("*.md"))]
HOOK_FUNCTIONS = [
    each for name, each in inspect.getmembers(hookspecs, inspect.isfunction) if name.startswith("pytest_")
]
EVENTS = [each for _, each in inspect.getmembers(events, inspect.isclass) if each.__module__ == events.__name__]


# Reading the pages


def blocks(page: str, info: str) -> list[str]:
    """The fenced blocks of a page with that info string; an outer fence is longer than those inside it."""
    found = re.findall(r"^(`{3,})([^`\n]*)\n(.*?)^\1$", page, re.MULTILINE | re.DOTALL)
    return [text for _, label, text in found if label == info]


def below(page: str, heading: str) -> str:
    """The page from a heading on."""
    match = re.search(rf"^#+ {re.escape(heading)}$", page, re.MULTILINE)
    assert match, f"there is no heading {heading!r}"
    return page[match.end() :]


def table(page: str, first: str, *, heading: str = "") -> list[list[str]]:
    """The rows of the first table, below a heading, whose first column has that title; of code spans the content."""
    text = below(page, heading) if heading else page
    match = re.search(rf"^\| {re.escape(first)} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert match, f"there is no table of {first!r}"
    return [[_plain(cell) for cell in re.split(r"(?<!\\)\|", row[1:-1])] for row in match[1].splitlines()]


def _plain(cell: str) -> str:
    cell = cell.strip().replace("\\|", "|")
    span = re.fullmatch(r"`` ?(.+?) ?``|`([^`]*)`", cell)
    return (span[1] or span[2]) if span else cell


def only_task(*lines: str) -> Task:
    """The task of a plan with one task and this body."""
    plan = parse_plan("\n".join(("### Task 1: Title", *lines, "")), "plan.md")
    assert plan is not None
    return plan.batches[0].tasks[0]


# The options


def option_table() -> str:
    """The table of options as it must stand in the README."""
    head = ("option", "ini key", "key in a plan", "meaning", "default")
    rows = [head, ("---",) * len(head), *map(option_row, OPTIONS)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def option_row(option: Option) -> tuple[str, ...]:
    flag = f"`{option.flag} {option.metavar}".rstrip() + "`" if option.flag else ""
    ini = f"`pipeline_{option.name}`" if option.ini else ""
    return (
        flag,
        ini,
        f"`{option.plan_key}`" if option.plan_key else "",
        option.help.replace("<", "&lt;"),
        _default(option),
    )


def _default(option: Option) -> str:
    value = getattr(Settings(), option.name)
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value / 60:g}m`" if option.parse is duration else f"`{value:g}`"
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    if isinstance(value, int) and value >= 1024**2:
        return f"`{value // 1024**2} MiB`"
    return f"`{value}`"


def test_the_readme_tells_every_option_with_flag_ini_key_plan_key_meaning_and_default() -> None:
    assert option_table() in README, f"the table of options must be:\n{option_table()}"


# Completeness


def test_every_failure_kind_is_explained() -> None:
    assert [kind for kind, _ in table(README, "kind")] == [kind.value for kind in FailureKind]


@pytest.mark.parametrize("page", ["README.md", "docs/record.md"])
def test_every_exit_code_is_explained(page: str) -> None:
    codes = [int(code) for code, _ in table(PAGES[page], "exit code")]
    assert codes == [*range(7), CRITERION_NOT_MET]
    assert set(map(int, pytest.ExitCode)) < set(codes)


def test_every_outcome_is_explained_with_its_symbol() -> None:
    told = {outcome: symbol for outcome, symbol, _ in table(RECORD, "outcome")}
    assert told == {str(outcome): symbol for outcome, symbol in SYMBOLS.items()}


@pytest.mark.parametrize("hook", HOOK_FUNCTIONS, ids=lambda hook: hook.__name__)
def test_every_hook_is_documented_with_its_exact_signature(hook: Callable[..., object]) -> None:
    assert f"```python\n{hook.__name__}{_signature(hook)}\n```\n" in HOOKS


def _signature(function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    parameters = ", ".join(f"{name}: {each.annotation}" for name, each in signature.parameters.items())
    return f"({parameters}) -> {signature.return_annotation}"


def test_no_hook_is_documented_that_does_not_exist() -> None:
    told = set(re.findall(r"\bpytest_pipeline_\w+", "".join(PAGES.values())))
    assert told == {hook.__name__ for hook in HOOK_FUNCTIONS}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_field_of_every_event_is_documented_with_its_type(event: type) -> None:
    told = [(name, kind) for name, kind, _ in table(HOOKS, "field", heading=event.__name__)]
    assert told == [(each.name, each.type) for each in dataclasses.fields(event)]


def test_every_public_name_is_documented_and_there() -> None:
    told = re.findall(r"`(\w+)`", below(HOOKS, "Public names"))
    assert told == pytest_pipeline.__all__
    assert all(getattr(pytest_pipeline, name) is not None for name in told)


@pytest.mark.parametrize(
    ("first", "properties"),
    [("Properties of a test case", TESTCASE_PROPERTIES), ("Properties of the suite", SUITE_PROPERTIES)],
)
def test_every_junit_property_is_documented_with_its_meaning(first: str, properties: dict[str, str]) -> None:
    told = dict(table(RECORD, "property", heading=first))
    assert told == {f"pipeline.{name}": meaning for name, meaning in properties.items()}


def test_every_column_of_the_store_is_documented() -> None:
    told = [(name, column) for name, column, _ in table(RECORD, "table")]
    assert told == [(each.name, column.name) for each in schema.metadata.sorted_tables for column in each.columns]


def test_every_fault_of_chaos_is_documented_with_its_seam_and_what_must_become_of_it() -> None:
    told = table(PAGES["docs/chaos.md"], "fault")
    assert told == [
        [each.name, str(each.seam), each.what, str(each.kind) if each.kind else "absorbed"] for each in CATALOGUE
    ]


def test_every_key_of_the_front_matter_is_documented() -> None:
    assert {key for key, _ in table(PLANS, "key")} == set(front_matter.KNOWN_KEYS)


def test_keys_that_describe_a_document_are_accepted_in_front_matter() -> None:
    paragraph = below(PLANS, "Front matter").partition("set nothing:")[2].partition("\n\n")[0]
    keys = re.findall(r"`(\w+)`", paragraph)
    front = "".join(f"{key}: anything\n" for key in keys)
    assert len(keys) > 10
    assert parse_plan(f"---\n{front}---\n### Task 1: Title\n", "plan.md") is not None


def test_every_word_for_a_batch_is_documented() -> None:
    words = [word for (word,) in table(PLANS, "word")]
    assert words == grammar._KEYWORDS.split("|")
    assert all(grammar.read_group(f"{word} 1: Title") for word in words)


def test_every_name_of_a_field_is_documented_and_understood() -> None:
    told = {name.lower(): kind for name, kind in table(PLANS, "name")}
    assert told == {name: fields.kind_of(name).value for name in told}
    assert set(fields.NAMES) <= set(told)
    assert set(told.values()) == {kind.value for kind in fields.FieldKind}


def test_every_verb_is_documented_and_understood() -> None:
    spellings = table(PLANS, "spelling")
    for spelling, verb in spellings:
        target = " -> `new.txt`" if verb == Verb.RENAME else ""
        changes = only_task("**Files:**", f"- {spelling}: `old.txt`{target}").files
        assert [str(each.verb) for each in changes] == [verb], spelling
    told = [verb for verb, _ in table(PLANS, "verb")]
    assert told == [str(verb) for verb in Verb]
    assert {verb for _, verb in spellings} == set(told)


def test_every_predicate_is_documented_and_understood() -> None:
    rows = table(PLANS, "sentence")
    for sentence, name in rows:
        checks = only_task("**Verification:**", f"- {sentence}").verification
        assert [str(each.predicate) for each in checks if isinstance(each, PredicateCheck)] == [name], sentence
    assert {name for _, name in rows} == {str(each) for each in Predicate}


def test_every_form_of_expectation_is_documented_and_understood() -> None:
    tasks = [only_task(f"**Expect:** {form}") for form, _ in table(PLANS, "form")]
    whole, conditions = tasks[: len(Expectation)], tasks[len(Expectation) :]
    assert [task.expect for task in whole] == list(Expectation)
    found = [(str(each.relation), each.path, each.argument) for task in conditions for each in task.conditions]
    assert found == [("contains", "a.txt", "hello"), ("matches", "a.txt", "^h.+o$"), ("absent", "a.txt", "")]


def test_every_form_of_reference_is_documented_and_understood() -> None:
    rows = table(PLANS, "label of the block")
    for label, form in rows:
        parts = only_task("**Reference:**", f"```{label}", "x", "```").reference
        assert [part.form.value for part in parts] == [form], label
    assert {form for _, form in rows} == {form.value for form in ReferenceForm}


def test_every_kind_of_trouble_is_documented_and_understood() -> None:
    rows = table(PLANS, "trouble")
    found = [only_task("```yaml rehearsal", f"trouble: {word}", "```").trouble for word, _, _ in rows]
    assert [each.kind for each in found if each] == list(TroubleKind)
    passing = [each.kind for each, (_, word, _) in zip(found, rows, strict=True) if each and word == "yes"]
    assert passing == list(rehearsal.ON_THE_WAY)


def test_every_key_of_a_block_about_trouble_is_documented() -> None:
    rows = dict(table(PLANS, "key of the block"))
    assert tuple(rows) == rehearsal.KEYS
    assert tuple(re.findall(r"`(\w+)`", rows["ends"])) == rehearsal.ENDS


def test_the_block_of_the_page_is_understood() -> None:
    (block,) = (text for text in blocks(PLANS, "markdown") if "yaml rehearsal" in text)
    assert only_task(block).trouble == Trouble(TroubleKind.STATUS, 2, status=429, times=1, ends="ok")


def test_there_is_a_task_for_every_kind_of_trouble_and_it_says_how_the_agent_ends() -> None:
    troubles = [task.trouble for batch in _example(REHEARSED).batches for task in batch.tasks]
    assert {each.kind for each in troubles if each} == set(TroubleKind)
    assert {each.status for each in troubles if each} - {0} == {401, 403, 429, 500, 529}
    assert all(each and each.ends for each in troubles)


def test_every_form_of_protected_path_is_documented() -> None:
    told = [path for path, _ in table(PLANS, "protected path")]
    assert set(told) - {"*.mcp.json"} <= set(Settings().protected_paths)
    paragraph = (
        below(PAGES["docs/trust.md"], "Protected paths").partition("By default these are")[2].partition("\n\n")[0]
    )
    named = set(re.findall(r"`([^`]+)`", paragraph))
    assert {path.lstrip("/") for path in Settings().protected_paths} <= named


def test_commands_prose_and_refusals_are_told_apart_as_documented() -> None:
    names = {CommandCheck: "command", ProseCheck: "prose", RefusedCheck: "refused", PredicateCheck: "predicate"}
    for item, expected in table(PLANS, "item"):
        checks = only_task("**Verification:**", f"- {item}").verification
        assert [names[type(each)] for each in checks] == [expected], item


# Truth


def test_the_figures_about_evidence_are_those_of_the_code() -> None:
    paragraph = below(README, "Runs and the criterion").partition("What do ten of ten prove?")[2].partition("\n\n")[0]
    assert f"least {evidence.lower_bound(10, 10):.1%}".replace("%", " %") in paragraph.replace("\n", " ")
    assert f"ten of ten prove {evidence.anytime_lower_bound(10, 10):.1%}".replace("%", " %") in paragraph
    for target in (0.9, 0.95, 0.99):
        runs = evidence.runs_needed(target)
        assert f"{runs} of {runs} prove {target:.0%}".replace("%", " %") in paragraph


def test_the_transcript_is_what_the_summary_prints_for_the_example_plans() -> None:
    (transcript,) = (text for text in blocks(README, "text") if text.startswith("==="))
    printed = _summary_of_ten_green_runs()
    until = printed.index("")
    assert transcript.splitlines()[1 : until + 1] == printed[:until]  # the matrix and its legend
    assert "\n".join(printed[printed.index("criterion met: 10 of 10 consecutive runs") - 4 :]) in transcript
    assert transcript.splitlines()[0] == " pipeline ".center(80, "=")


def _summary_of_ten_green_runs() -> list[str]:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    runs = [RunRecord("s", number, number, now, Outcome.PASSED, now) for number in range(1, 11)]
    task_runs = [
        TaskRunRecord(TaskRunKey("s", run.number, name, batch, task), title, outcome)
        for run in runs
        for name in EXAMPLES
        if name != REHEARSED
        for batch, task, title, outcome in _rows(_example(name))
    ]
    verdict = judge(runs, required=10, count=10)
    return [line.text for line in summary(SessionRecord("s", now, 10, 10), runs, task_runs, verdict, 80)]


def _rows(plan: Plan) -> list[tuple[str, str, str, Outcome]]:
    rows = [
        (batch.number, task.id, task.title, Outcome.PASSED if task.status is Status.OPEN else Outcome.COMPLETED)
        for batch in plan.batches
        for task in batch.tasks
    ]
    return [*rows, ("", "final-state", "final state", Outcome.PASSED)]


def _example(name: str) -> Plan:
    plan = read_plan(ROOT / name, name)
    assert plan is not None
    return plan


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_readme_names_every_example_plan(name: str) -> None:
    assert f"]({name})" in README


def test_the_commands_for_a_fresh_clone_stand_in_the_readme_once() -> None:
    commands = [line for block in blocks(README, "sh") for line in block.splitlines() if "pip install -e" in line]
    assert commands == [
        "python -m pip install -e . && python -m pytest plans/ --count 10",
        "python -m pip install -e '.[claude]' && python -m pytest plans/ --count 10 --agent claude --rehearse",
        "python -m pip install -e '.[test]' && python -m pytest tests/ -n auto --random-order",
        "python -m pip install -e '.[server]' && python -m pytest_pipeline serve --agent reference",
    ]


def test_the_gate_runs_the_second_command() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    found = re.search(r"^command=.*$", gate, re.MULTILINE)
    assert found
    script = f'{found[0]}\nprintf %s "$command"'
    printed = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == "python -m pip install -e '.[test]' && python -m pytest tests/ -n auto --random-order"


def test_the_names_and_versions_are_those_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{pytest_pipeline.__version__}"' in project
    assert f"## [{pytest_pipeline.__version__}]" in PAGES["CHANGELOG.md"]
    assert re.findall(r'^name = "(pytest[\w-]+)"$', project, re.MULTILINE) == ["pytest-pipeline-hardening"]
    assert "`python -m pip install pytest-pipeline-hardening`" in README


def test_the_workflow_of_the_readme_is_yaml_and_its_options_exist() -> None:
    (text,) = blocks(README, "yaml")
    steps = yaml.safe_load(text)["jobs"]["prove"]["steps"]
    (command,) = (step["run"] for step in steps if "pytest plans/" in step.get("run", ""))
    known = {option.flag for option in OPTIONS} | {"--junitxml"}
    assert {flag.partition("=")[0] for flag in re.findall(r"--\S+", command)} <= known


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    prose = re.sub(r"^(`{3,}).*?^\1$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", prose):
        path, _, anchor = target.partition("#")
        place = (ROOT / page).parent / path if path else ROOT / page
        assert place.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("page", PAGES)
def test_no_page_holds_a_path_of_a_machine(page: str) -> None:
    assert not re.findall(r"(?:/home|/Users|/root|/tmp|/work|/opt)/\S*|[A-Z]:\\\S*", PAGES[page])


def test_importing_the_package_loads_none_of_its_rooms() -> None:
    script = "import sys, pytest_pipeline; print([name for name in sys.modules if name.startswith('pytest_pipeline')])"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "['pytest_pipeline']"


# Examples


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest within the test; hypothesis would be imported anew by each such run, which takes a second."""
    return pytester.runpytest("-p", "no:hypothesispytest", "--keep-workspaces", "never", *arguments)


def run_plan(pytester: pytest.Pytester, text: str, *arguments: str, name: str = "example") -> pytest.RunResult:
    """Run a plan in a project of its own."""
    pytester.mkdir("plans")
    (pytester.path / "plans" / f"{name}.md").write_text(text, encoding="utf-8")
    return run(pytester, "plans", *arguments)


@pytest.mark.parametrize("page", ["README.md", "docs/plans.md"])
def test_the_plan_of_the_page_succeeds_twice(pytester: pytest.Pytester, page: str) -> None:
    (text,) = blocks(PAGES[page], "markdown plan")
    result = run_plan(pytester, text, "--count", "2", "--strict-markers")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["criterion met: 2 of 2 consecutive runs"])


def test_the_plan_of_the_readme_shows_every_field_and_every_form_of_reference() -> None:
    (text,) = blocks(README, "markdown plan")
    kinds = {fields.kind_of(name) for name in re.findall(r"^\*\*([^*:]+):\*\*", text, re.MULTILINE)}
    assert kinds == set(fields.FieldKind) - {fields.FieldKind.TEXT, fields.FieldKind.PREREQUISITES}
    plan = parse_plan(text, "plan.md")
    assert plan is not None
    parts = [part.form for batch in plan.batches for task in batch.tasks for part in task.reference]
    assert set(parts) == set(ReferenceForm)


def test_the_record_of_a_run_holds_only_what_is_documented(pytester: pytest.Pytester) -> None:
    (text,) = blocks(README, "markdown plan")
    run_plan(pytester, text, "--count", "2", "--junitxml", "record.xml")
    properties = {each.get("name") for each in ElementTree.parse("record.xml").iter("property")}
    assert len(properties) > 20
    assert properties <= set(re.findall(r"^\| `(pipeline\.[\w.]+)` \|", RECORD, re.MULTILINE))
    log = subprocess.run(
        ["git", "-C", ".pipeline/forge.git", "log", "--all", "--format=%(trailers:only)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    trailers = set(re.findall(r"^([\w-]+): ", log, re.MULTILINE))
    assert trailers == {name for name, _ in table(RECORD, "trailer")}


def test_the_story_of_the_readme_is_what_a_failed_task_prints(pytester: pytest.Pytester) -> None:
    (story,) = (text for text in blocks(README, "text") if text.startswith("verification:"))
    plan = (
        "## Batch 1: Greet\n### Task 1.2: Say good-bye\n**Files:**\n- Create: `greeting.txt`\n"
        "**Verification:**\n- `grep -qx Bye greeting.txt`\n**Reference:**\n```text path=greeting.txt\nHello\n```\n"
    )
    result = run_plan(pytester, plan, "--agent", "reference", "--count", "2", name="greet")
    printed = re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}", "…", result.stdout.str())
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert story in printed


def test_the_hook_of_the_readme_refuses_what_says_todo(pytester: pytest.Pytester) -> None:
    (conftest,) = blocks(README, "python")
    pytester.makeconftest(conftest)
    plan = "### Task 1: Write\n**Files:**\n- Create: `a.txt`\n**Reference:**\n```text path=a.txt\nTODO\n```\n"
    result = run_plan(pytester, plan, "--agent", "reference")
    result.stdout.fnmatch_lines(["outcome: a.txt says TODO."])


def test_the_agent_of_the_page_about_hooks_does_a_task(pytester: pytest.Pytester) -> None:
    (conftest,) = blocks(HOOKS, "python conftest")
    pytester.makeconftest(conftest)
    plan = (
        "### Task 1: Greet\n**Files:**\n- Create: `greeting.txt`\n**Verification:**\n- `grep -q Hello greeting.txt`\n"
    )
    result = run_plan(pytester, plan, "--agent", "greeter")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["pipeline: *agent greeter 1, forge local"])


def test_a_hook_that_raises_is_a_failure_of_the_infrastructure(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_pipeline_judge():\n    raise ValueError('wrong')\n")
    plan = "### Task 1: Write\n**Files:**\n- Create: `a.txt`\n**Reference:**\n```text path=a.txt\nx\n```\n"
    result = run_plan(pytester, plan, "--agent", "reference")
    result.stdout.fnmatch_lines(["run 1: 1 of plans/example.md: infrastructure: The hook pytest_p*"])


def test_without_an_agent_and_a_login_the_error_says_what_to_do(pytester: pytest.Pytester, claude_cli: Path) -> None:
    result = run_plan(pytester, "### Task 1: Write\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: The Claude CLI has no login here: set ANTHROPIC_API_KEY or *, or rehearse *: --rehearse."]
    )


def test_a_bare_pytest_runs_no_plan_and_says_so(pytester: pytest.Pytester) -> None:
    pytester.mkdir("plans")
    (pytester.path / "plans" / "a.md").write_text("### Task 1: Write\n")
    for arguments in ((), (".",)):
        result = run(pytester, *arguments)
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
        result.stdout.fnmatch_lines(["pipeline: passed over 1 Markdown file*pytest plans/a.md"])


def test_a_plan_that_cannot_be_read_does_not_keep_the_others_from_running(pytester: pytest.Pytester) -> None:
    (pytester.path / "plans").mkdir()
    (pytester.path / "plans" / "broken.md").write_text("---\nagnet: x\n---\n### Task 1: Write\n")
    good = "### Task 1: Look\n**Expect:** no changes\n**Reference:**\n```sh\ntrue\n```\n"
    (pytester.path / "plans" / "good.md").write_text(good)
    others = run(pytester, "plans", "--agent", "reference")
    assert others.ret == pytest.ExitCode.TESTS_FAILED
    others.assert_outcomes(errors=1, passed=2)


def test_with_repo_an_agent_does_not_find_the_plan_in_its_workspace(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = pytester.mkdir("target")
    identity = ("-c", "user.name=A", "-c", "user.email=a@b")
    for arguments in (("init", "-q"), (*identity, "commit", "-q", "--allow-empty", "-m", "Start")):
        subprocess.run(["git", *arguments], cwd=target, check=True)
    look = "find . -name '*.md' | grep . && exit 1\necho x > a.txt\n"
    plan = f"### Task 1: Look\n**Files:**\n- Create: `a.txt`\n**Reference:**\n```sh\n{look}```\n"
    (pytester.mkdir("elsewhere") / "look.md").write_text(plan)
    monkeypatch.chdir(target)
    result = run(pytester, "../elsewhere", "--agent", "reference", "--repo", ".")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["pipeline: repository target, base commit *"])


def test_a_skipped_task_leaves_the_criterion_not_met(pytester: pytest.Pytester) -> None:
    plan = (
        "### Task 1: Write\n**Files:**\n- Create: `a.txt`\n**Reference:**\n```text path=a.txt\nx\n```\n"
        "### Task 2: Go on\n**Depends on:** Task 1\n"
    )
    result = run_plan(pytester, plan, "--agent", "reference", "--no-auto-merge")
    assert result.ret == CRITERION_NOT_MET
