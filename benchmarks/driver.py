"""What the driver of the Claude CLI costs: its time beyond the CLI's own, and pytest's memory under a long transcript.

Time: the real CLI against the rehearsal's scripted model does one task (one file is written), once through the driver
and once as a bare child with the same command line, environment and prompt. Memory: all of pytest, with a stand-in
for the CLI that prints a stream of the asked size; the real one would need more memory than pytest and hide it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.measuring import arguments, interleaved, measure, median, paired, table, workshop
from pytest_pipeline.agents.base import AgentRequest, AgentStatus, Limits, SolutionForm, SolutionPart
from pytest_pipeline.agents.claude import invocation
from pytest_pipeline.agents.claude.driver import ClaudeAgent
from pytest_pipeline.agents.claude.executable import Executable, find_executable
from pytest_pipeline.agents.claude.rehearsal.gateway import Rehearsal
from pytest_pipeline.agents.claude.rehearsal.misbehaving import script_for

STAND_IN = """\
#!{python} -IS
import json, pathlib, sys
if "--version" in sys.argv:
    print("2.1.330 (Claude Code)")
    sys.exit()
sys.stdin.read()
session = sys.argv[sys.argv.index("--session-id") + 1]
common = {{"session_id": session, "uuid": session}}
def line(kind, **fields):
    print(json.dumps({{"type": kind, **fields, **common}}))
line("system", subtype="init", model="stand-in", tools=[], claude_code_version="2.1.330")
usage = {{"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}}
text = "x" * {line_bytes}
for number in range({lines}):
    content = [{{"type": "text", "text": text}}]
    line("assistant", message={{"id": f"msg_{{number}}", "model": "stand-in", "content": content, "usage": usage}})
pathlib.Path("hello.txt").write_text("Hello")
line("result", subtype="success", is_error=False, terminal_reason="completed", num_turns=1, total_cost_usd=0,
     permission_denials=[], usage=usage, modelUsage={{}}, result="done")
"""
PLAN = """\
# One file

## Batch 1: One

### Task 1.1: Say hello

**Files:**
- Create: `hello.txt`
"""


def through_the_driver(place: Path, agent: ClaudeAgent) -> float:
    """Seconds of one task through the driver."""
    request = _request(place)
    since = time.perf_counter()
    result = agent.run(request, lambda _line: None)
    seconds = time.perf_counter() - since
    if result.status is not AgentStatus.OK:
        raise SystemExit(f"the driver's task ended as {result.status}: {result.message}")
    return seconds


def as_a_bare_child(place: Path, executable: Executable, gateway: Rehearsal) -> float:
    """Seconds of the same task as a child that nobody watches; its output goes to a file."""
    request = _request(place)
    places = invocation.Places(place / "config", place / "tmp", place / "system-prompt.md")
    places.config.mkdir()
    with gateway.admit(request, places.config) as access, tempfile.TemporaryFile() as output:
        argv = invocation.arguments(executable.path, request, str(uuid.uuid4()), None)
        environment = invocation.environment(request, access, places, scripted=True)
        stdin = invocation.prompt(request.prompt)
        since = time.perf_counter()
        subprocess.run(argv, env=environment, cwd=request.workspace, input=stdin, stdout=output, check=True)
        return time.perf_counter() - since


def _request(place: Path) -> AgentRequest:
    for name in ("work", "home", "tmp"):
        (place / name).mkdir()
    return AgentRequest(
        prompt="# Task 1.1: Say hello\n\nWrite hello.txt.\n",
        workspace=place / "work",
        limits=Limits(60.0),
        environment={"PATH": os.defpath, "HOME": str(place / "home"), "TMPDIR": str(place / "tmp")},
        transcript=place / "transcript.log",
        reference=(SolutionPart(SolutionForm.FILE, "Hello\n", "hello.txt"),),
        case="one/1-1.1",
    )


def memory(place: Path, megabytes: int, line_bytes: int) -> float:
    """Peak of resident memory of pytest, in MiB, for a task with a transcript of that size."""
    project = place / "project"
    project.mkdir()
    stand_in = place / "claude"
    stand_in.write_text(
        STAND_IN.format(python=sys.executable, lines=megabytes * 10**6 // line_bytes, line_bytes=line_bytes), "utf-8"
    )
    stand_in.chmod(0o755)
    (project / "pytest.ini").write_text("[pytest]\npipeline_max_transcript = 100 MB\n", "utf-8")
    (project / "one.md").write_text(PLAN, "utf-8")
    _repository(project)
    argv = (sys.executable, "-m", "pytest", "-q", "-p", "pytest_pipeline.plugin", "one.md", "--agent", "claude")
    extra = {"TMPDIR": str(place), "ANTHROPIC_API_KEY": "no-key-at-all", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    return measure((*argv, "--claude-path", str(stand_in)), project, extra).memory


def _repository(project: Path) -> None:
    who = {f"GIT_{role}_{key}": "benchmark@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    plain = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, **who}
    for words in (("init", "--quiet"), ("commit", "--quiet", "--allow-empty", "--message", "Begin")):
        subprocess.run(("git", *words), cwd=project, env=plain, check=True)


def _afresh(place: Path, run: Callable[[Path], float]) -> float:
    with workshop(place) as room:
        return run(room)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = arguments(__doc__ or "", rounds=15).parse_args(words)
    executable = find_executable(None)
    with workshop(options.where) as place:
        _measure_time(place, executable, options.rounds)
        _measure_memory(place, max(3, options.rounds // 5))
    print("targets: less than 10 % more time; memory flat")


def _measure_time(place: Path, executable: Executable, rounds: int) -> None:
    gateway = Rehearsal(script_for)
    agent = ClaudeAgent(executable, gateway)
    try:
        cases = {
            "driver": partial(_afresh, place, partial(through_the_driver, agent=agent)),
            "bare": partial(_afresh, place, partial(as_a_bare_child, executable=executable, gateway=gateway)),
        }
        samples = interleaved(rounds, cases)
    finally:
        agent.close()
    ratio = paired(samples["driver"], samples["bare"])
    rows = [(name, f"{median(each) * 1000:.0f}", f"{min(each) * 1000:.0f}") for name, each in samples.items()]
    table(f"driver: one task, {rounds} rounds, CLI {executable.version}", ("", "median ms", "least ms"), rows)
    print(f"driver / bare: {ratio:.3f} (median of the ratios within rounds)")


def _measure_memory(place: Path, rounds: int) -> None:
    sizes = {"1 MB in lines of 4 kB": (1, 4_000), "50 MB in lines of 4 kB": (50, 4_000)}
    sizes["50 MB in lines of 400 kB"] = (50, 400_000)
    cases = {
        name: partial(_afresh, place, partial(memory, megabytes=megabytes, line_bytes=line_bytes))
        for name, (megabytes, line_bytes) in sizes.items()
    }
    samples = interleaved(rounds, cases)
    first = samples[next(iter(sizes))]
    rows = [(name, f"{median(each):.1f}", f"{paired(each, first):.2f}") for name, each in samples.items()]
    table(f"memory of pytest, {rounds} rounds", ("transcript", "peak MiB", "ratio"), rows)


if __name__ == "__main__":
    main()
