"""A plan as data: what a Markdown file says, and on which line it says it.

Frozen values without behaviour beyond small look-ups; made by :mod:`pytest_pipeline.plans.reader`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pytest_pipeline.errors import Diagnostic
from pytest_pipeline.trouble import Trouble


class Verb(str, enum.Enum):
    """What a task does to a file that it names."""

    CREATE = "create"
    MODIFY = "modify"
    CHANGE = "change"  # created or modified: the plan does not say which
    DELETE = "delete"
    RENAME = "rename"
    READ = "read"
    TEST = "test"  # a test file that must be there afterwards

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class FileChange:
    """One declared file. ``path`` may be a directory (trailing slash) or a glob; ``target`` only for a rename."""

    verb: Verb
    path: str
    line: int
    target: str | None = None


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """A command, or a fenced block as one script, for ``/bin/sh -c``.

    ``passes_on`` is the exit status that means success: 0, or 1 where the plan says that nothing must be found.
    """

    command: str
    line: int
    passes_on: int = 0


class Predicate(str, enum.Enum):
    """The built-in checks; their subject and argument are in :class:`PredicateCheck`."""

    FILES_EXIST = "files exist"
    CONTENT_CONTAINS = "content contains"
    VALID_JSON = "valid JSON"
    LINES_AT_LEAST = "at least N lines"
    WILL_FAIL = "will fail"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class PredicateCheck:
    """A built-in check. ``paths`` empty means: the files that the task creates, modifies or tests."""

    predicate: Predicate
    text: str
    line: int
    paths: tuple[str, ...] = ()
    argument: str = ""


@dataclass(frozen=True, slots=True)
class ProseCheck:
    """A sentence for a person to judge; never counted as passed."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class RefusedCheck:
    """A command that is reported and not run, with the reason: it never ends, mutates git, or has placeholders."""

    command: str
    reason: str
    line: int


Check = CommandCheck | PredicateCheck | ProseCheck | RefusedCheck


class Status(str, enum.Enum):
    """Whether a task is still to be done."""

    OPEN = "open"
    COMPLETED = "completed"


class Expectation(str, enum.Enum):
    """What the task is to bring about as a whole."""

    CHANGES = "changes"
    NO_CHANGES = "no changes"
    FAILURE = "failure"

    def __str__(self) -> str:
        return self.value


class Relation(str, enum.Enum):
    """What an ``**Expect:**`` condition says about a file."""

    CONTAINS = "contains"
    MATCHES = "matches"
    ABSENT = "absent"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on the tree to be merged, for example ``file a.txt contains hello``."""

    relation: Relation
    path: str
    line: int
    argument: str = ""


class ReferenceForm(str, enum.Enum):
    """How a part of a reference solution is written down."""

    FILE = "file"  # a fence labelled with a path: its whole new content
    DIFF = "diff"  # a unified diff
    SHELL = "shell"  # a script for /bin/sh


@dataclass(frozen=True, slots=True)
class ReferencePart:
    """One fenced block under ``**Reference:**``; ``path`` only for :attr:`ReferenceForm.FILE`."""

    form: ReferenceForm
    content: str
    line: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class TaskNeed:
    """A task that must have passed before: by id, and by batch number where the plan names one."""

    task: str
    line: int
    batch: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A pytest mark from the plan: ``slow``, or ``{usefixtures: [database]}``."""

    name: str
    arguments: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What a plan, or one task of it, sets.

    ``values`` maps names of :class:`pytest_pipeline.settings.Settings` fields to checked values; ``environment`` goes
    to the agent and to verification commands; ``context`` is text for the prompt.
    """

    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    marks: tuple[Mark, ...] = ()
    context: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt for the agent and what must be true afterwards."""

    id: str
    title: str
    prompt: str
    line: int
    files: tuple[FileChange, ...] = ()
    verification: tuple[Check, ...] = ()
    acceptance: tuple[ProseCheck, ...] = ()
    needs: tuple[TaskNeed, ...] = ()
    status: Status = Status.OPEN
    expect: Expectation = Expectation.CHANGES
    conditions: tuple[Condition, ...] = ()
    commit_subject: str | None = None
    reference: tuple[ReferencePart, ...] = ()
    options: Options = field(default_factory=Options)
    trouble: Trouble | None = None
    faults: tuple[Diagnostic, ...] = ()  # make this task fail with kind `plan`, not the file


@dataclass(frozen=True, slots=True)
class Batch:
    """A numbered group of tasks. ``parallel`` is true when its tasks do not have to run in order."""

    number: str
    title: str
    line: int
    needs: tuple[str, ...] = ()
    parallel: bool = False
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One Markdown file.

    ``notes`` are remarks that do not stop it, for example a refused command; ``digest`` tells its text from others.
    """

    path: str
    title: str
    options: Options
    batches: tuple[Batch, ...]
    notes: tuple[Diagnostic, ...] = ()
    digest: str = ""
