"""The agent that needs no model: it replays the task's own reference solution, and so proves plan and pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest_pipeline
from pytest_pipeline.agents import diff
from pytest_pipeline.agents.base import AgentRequest, AgentResult, AgentStatus, OnEvent, SolutionForm, SolutionPart
from pytest_pipeline.agents.changes import work_out
from pytest_pipeline.agents.workspace import Workspace, WorkspaceError
from pytest_pipeline.host.process import Command, Completed, run
from pytest_pipeline.host.redaction import Redactor

_NO_REFERENCE = (
    "The task has no reference solution to replay. Write one under **Reference:** in the plan, "
    "or choose another agent with --agent."
)


class ReferenceAgent:
    """Applies the parts of :attr:`AgentRequest.reference` in their order; stops at the first that does not apply."""

    name = "reference"
    version = pytest_pipeline.__version__

    def run(self, request: AgentRequest, on_event: OnEvent) -> AgentResult:
        """Apply the reference solution.

        Raises:
            HostError: the machine cannot write files or run a shell.
        """
        if not request.reference:
            return AgentResult(AgentStatus.UNAVAILABLE, _NO_REFERENCE, cost_usd=Decimal(0))
        replay = _Replay(request, on_event)
        try:
            for part in request.reference:
                replay.apply(part)
        except (diff.DiffError, WorkspaceError) as error:
            return replay.result(AgentStatus.FAILED, str(error))
        except _ShellEndedError as end:
            return replay.result(end.status, str(end), output=end.output)
        return replay.result(AgentStatus.OK, f"The reference solution was applied ({len(request.reference)} parts).")


class _ShellEndedError(Exception):
    """A shell part that did not succeed."""

    def __init__(self, status: AgentStatus, message: str, output: str) -> None:
        super().__init__(message)
        self.status = status
        self.output = output


@dataclass
class _Replay:
    """One solution on its way into one workspace."""

    request: AgentRequest
    on_event: OnEvent
    survivors: int = 0
    truncated: bool = False
    started: float = field(default_factory=time.monotonic)

    def apply(self, part: SolutionPart) -> None:
        steps: dict[SolutionForm, Callable[[SolutionPart], None]] = {
            SolutionForm.FILE: self._write,
            SolutionForm.DIFF: self._patch,
            SolutionForm.SHELL: self._run_shell,
        }
        steps[part.form](part)

    def result(self, status: AgentStatus, message: str, output: str = "") -> AgentResult:
        self._note(message)
        return AgentResult(
            status, message, output=output, cost_usd=Decimal(0), survivors=self.survivors, truncated=self.truncated
        )

    def _write(self, part: SolutionPart) -> None:
        self._workspace.write(part.path, part.content)
        self._note(f"wrote {part.path}")

    def _patch(self, part: SolutionPart) -> None:
        for patch in diff.parse(part.content):
            self._patch_file(patch)
            self._note(f"patched {patch.path} ({len(patch.hunks)} hunks)")

    def _patch_file(self, patch: diff.FilePatch) -> None:
        change = work_out(patch, self._workspace)
        if change.written:
            self._workspace.write(change.written, change.text, mode=change.mode)
        if change.deleted:
            self._workspace.delete(change.deleted)

    def _run_shell(self, part: SolutionPart) -> None:
        left = self.request.limits.wall_time - (time.monotonic() - self.started)
        if left <= 0:
            raise self._timeout("")
        self._note("runs a shell block")
        completed = run(self._command(part.content, left), self.on_event)
        self.survivors += completed.survivors
        self.truncated = self.truncated or completed.truncated
        if completed.timed_out:
            raise self._timeout(completed.tail)
        if completed.exit_code:
            raise _shell_failed(completed)

    def _command(self, script: str, timeout: float) -> Command:
        return Command(
            ("/bin/sh", "-e", "-c", script),
            cwd=self.request.workspace,
            environment=self.request.environment,
            timeout=timeout,
            transcript=self.request.transcript,
            transcript_limit=self.request.transcript_limit,
            redactor=Redactor.for_child(self.request.environment),
        )

    def _timeout(self, output: str) -> _ShellEndedError:
        limit = self.request.limits.wall_time
        message = (
            f"The reference solution did not end within {limit:g} s. Raise limits.wall_time, or mend its shell block."
        )
        return _ShellEndedError(AgentStatus.TIMEOUT, message, output)

    def _note(self, line: str) -> None:
        self.on_event(line)
        transcript = self.request.transcript
        transcript.parent.mkdir(parents=True, exist_ok=True)
        with transcript.open("ab") as file:
            if file.tell() < self.request.transcript_limit:
                file.write(f"reference: {line}\n".encode("utf-8", "backslashreplace"))

    @property
    def _workspace(self) -> Workspace:
        return Workspace(self.request.workspace)


def _shell_failed(completed: Completed) -> _ShellEndedError:
    message = (
        f"A shell block of the reference solution ended with exit status {completed.exit_code}. Mend it in the plan."
    )
    return _ShellEndedError(AgentStatus.FAILED, message, completed.tail)
