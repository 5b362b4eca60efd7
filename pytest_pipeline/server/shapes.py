"""What is asked and answered, as JSON. The first fields of each shape are those of the system that this replaces."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[int, Field(ge=1, le=999_999)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
BatchNumber = int | str


class Status(str, Enum):
    """How an execution stands."""

    STARTED = "started"
    EXECUTING = "executing"
    COMPLETE = "complete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Progress(str, Enum):
    """How a batch or a task stands."""

    PENDING = "pending"
    EXECUTING = "executing"
    COMPLETE = "complete"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class StartRequest(BaseModel):
    """What is to be executed. Nothing else can be set from outside."""

    model_config = ConfigDict(extra="forbid", strict=True)

    plan_path: Annotated[str, Field(min_length=1, max_length=1024, description="Path of a plan below a root of plans.")]
    start_batch: Annotated[Number, Field(description="Number of the first batch.")] = 1
    end_batch: Annotated[Number | None, Field(description="Number of the last batch; default: the last one.")] = None
    execution_mode: Annotated[Literal["local"], Field(description="Where tasks run.")] = "local"
    auto_merge: Annotated[bool, Field(description="Whether pull requests are merged.")] = True
    count: Annotated[int, Field(ge=1, le=10_000, description="How many runs.")] = 1
    until_consecutive: Annotated[Number | None, Field(description="Stop once so many runs in a row succeeded.")] = None
    agent: Annotated[Name | None, Field(description="Who does the tasks; default: the project's.")] = None
    forge: Annotated[Name | None, Field(description="Where pull requests live; default: the project's.")] = None
    workers: Annotated[int | None, Field(ge=1, le=64, description="How many pytest-xdist workers.")] = None
    rehearse: Annotated[bool, Field(description="Whether a scripted model stands in for the real one.")] = False


class StartAnswer(BaseModel):
    """What was started."""

    execution_id: str
    status: Status
    batches_scheduled: list[BatchNumber]


class ExecutionAnswer(BaseModel):
    """How an execution stands after it was cancelled or resumed."""

    execution_id: str
    status: Status


class Pull(BaseModel):
    """A pull request."""

    number: int
    state: str
    url: str


class ActivePull(Pull):
    """A pull request that is open, and the task that it is for."""

    task: str
    run: int


class RunsAnswer(BaseModel):
    """The runs, and how near the criterion is."""

    count: int
    admitted: int
    successful: int
    failed: int
    required: int
    streak: int
    met: bool


class StatusAnswer(BaseModel):
    """How an execution stands."""

    execution_id: str
    status: Status
    current_batch: BatchNumber | None
    batches: list[BatchNumber]
    tasks_completed: int
    tasks_failed: int
    tasks_total: int
    active_pull_requests: list[ActivePull]
    runs: RunsAnswer
    cost_usd: float
    started_at: datetime
    completed_at: datetime | None
    plan_path: str
    session: str | None
    message: str | None


class TaskAnswer(BaseModel):
    """A task in one run."""

    id: str
    number: str
    title: str
    branch: str | None
    pull_request: Pull | None
    status: Progress
    commits: list[str]
    error: str | None
    failure_kind: str | None
    attempts: int
    started_at: datetime | None
    completed_at: datetime | None


class BatchAnswer(BaseModel):
    """A batch in one run."""

    number: BatchNumber
    title: str
    status: Progress
    started_at: datetime | None
    completed_at: datetime | None
    tasks: list[TaskAnswer]


class BatchesAnswer(BaseModel):
    """The batches of one run."""

    execution_id: str
    run: int
    batches: list[BatchAnswer]


class ListedExecution(BaseModel):
    """An execution in short."""

    execution_id: str
    status: Status
    plan_path: str
    batches: list[BatchNumber]
    session: str | None
    started_at: datetime
    completed_at: datetime | None


class ListAnswer(BaseModel):
    """A page of executions, the newest first. ``next`` is the ``after`` of the next page; null: this is the last."""

    executions: list[ListedExecution]
    next: str | None


class Part(BaseModel):
    """Something that executions need. Store: now. Agent and forge: when the server was started."""

    name: str
    state: Literal["ok", "failed"]


class HealthAnswer(BaseModel):
    """Whether executions can be started and read."""

    status: Literal["healthy", "unhealthy"]
    version: str
    store: Part
    agent: Part
    forge: Part


class ErrorAnswer(BaseModel):
    """Why it was not done. ``messages`` has every reason, where there are several."""

    detail: str
    messages: list[str] = []
