"""Ids that are unique, dependencies that exist and do not go in circles; then drafts become batches."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Sequence

from pytest_pipeline.plans.cycles import find_cycles
from pytest_pipeline.plans.drafts import BatchDraft
from pytest_pipeline.plans.model import Batch, Task, TaskNeed
from pytest_pipeline.plans.needs import NeedKind, Reference, expand_range
from pytest_pipeline.plans.outline import Group
from pytest_pipeline.plans.problems import Problems
from pytest_pipeline.plans.tasks import TaskDraft


def resolve(drafts: Sequence[BatchDraft], groups: Sequence[Group], problems: Problems) -> tuple[Batch, ...]:
    """Check the drafts and turn them into batches; what is wrong goes to ``problems``."""
    _report_duplicates(drafts, problems)
    resolver = _Resolver(drafts, groups, problems)
    batches = tuple(resolver.batch(draft) for draft in drafts)
    if not problems.errors:
        find_cycles(batches, resolver.lines, problems)
    return batches


def _report_duplicates(drafts: Sequence[BatchDraft], problems: Problems) -> None:
    numbers: dict[str, int] = {}
    for draft in drafts:
        first = numbers.setdefault(draft.number.casefold(), draft.line)
        if first != draft.line:
            problems.error(
                draft.line, f"a second batch has the number {draft.number}, the first is on line {first}. Renumber one."
            )
        tasks: dict[str, int] = {}
        for each in draft.tasks:
            first = tasks.setdefault(each.task.id.casefold(), each.task.line)
            if first != each.task.line:
                problems.error(
                    each.task.line,
                    f"a second task has the id {each.task.id} in batch {draft.number}, the first is on line {first}. "
                    "Give one of them another id.",
                )


class _Resolver:
    """Finds what a reference names: batches by number, tasks by id."""

    def __init__(self, drafts: Sequence[BatchDraft], groups: Sequence[Group], problems: Problems) -> None:
        self._problems = problems
        self._by_group = {id(draft.group): draft for draft in drafts if draft.group is not None}
        self._implicit = [draft for draft in drafts if draft.group is None]
        self._groups: dict[str, list[Group]] = {}
        for group in groups:
            self._groups.setdefault(group.heading.number.casefold(), []).append(group)
        self._keywords = {group.heading.keyword for group in groups}
        self._tasks: dict[str, list[tuple[BatchDraft, TaskDraft]]] = {}
        for draft in drafts:
            for each in draft.tasks:
                self._tasks.setdefault(each.task.id.casefold(), []).append((draft, each))
        self.lines: dict[str, int] = {}  # where a batch says what it needs

    def batch(self, draft: BatchDraft) -> Batch:
        needs: dict[str, None] = {}
        task_needs: dict[TaskNeed, None] = {}
        for line in draft.needs:
            for reference in line.references:
                found = self._find(reference, line.line, draft, f"batch {draft.number}", groups_first=True)
                self.lines.setdefault(draft.number, line.line)
                needs.update(dict.fromkeys(each.number for each in found if isinstance(each, BatchDraft)))
                task_needs.update(
                    dict.fromkeys(_need(*each, line.line) for each in found if not isinstance(each, BatchDraft))
                )
        tasks = tuple(self._task(draft, each, task_needs) for each in draft.tasks)
        return Batch(draft.number, draft.title, draft.line, tuple(needs), draft.parallel, tasks)

    def _task(self, draft: BatchDraft, each: TaskDraft, inherited: Iterable[TaskNeed]) -> Task:
        needs = dict.fromkeys(inherited)
        for line in each.needs:
            for reference in line.references:
                for found in self._find(reference, line.line, draft, f"task {each.task.id}", groups_first=False):
                    members = [(found, one) for one in found.tasks] if isinstance(found, BatchDraft) else [found]
                    needs.update(dict.fromkeys(_need(*member, line.line) for member in members))
        return dataclasses.replace(each.task, needs=tuple(needs)) if needs else each.task

    def _find(
        self, reference: Reference, line: int, own: BatchDraft, who: str, *, groups_first: bool
    ) -> list[BatchDraft | tuple[BatchDraft, TaskDraft]]:
        found = self._look_up(reference, own, groups_first=groups_first)
        if found is None:
            several = [each for part in expand_range(reference.id) for each in self._part(reference, part, own)]
            if several:
                return several
            self._report_unknown(reference, line, who)
            return []
        if len(found) > 1 and not isinstance(found[0], BatchDraft):
            homes = ", ".join(each[0].number for each in found if not isinstance(each, BatchDraft))
            self._problems.error(
                line,
                f"{who} depends on task {reference.id}, which is in the batches {homes}. "
                "Give these tasks different ids.",
            )
            return []
        return found

    def _part(
        self, reference: Reference, part: str, own: BatchDraft
    ) -> list[BatchDraft | tuple[BatchDraft, TaskDraft]]:
        found = self._look_up(dataclasses.replace(reference, id=part), own, groups_first=False)
        return found[:1] if found and not isinstance(found[0], BatchDraft) else found or []

    def _look_up(
        self, reference: Reference, own: BatchDraft, *, groups_first: bool
    ) -> list[BatchDraft | tuple[BatchDraft, TaskDraft]] | None:
        kinds = {
            NeedKind.TASK: (self._tasks_named,),
            NeedKind.GROUP: (self._groups_named,),
            NeedKind.EITHER: (self._groups_named, self._tasks_named)
            if groups_first
            else (self._tasks_named, self._groups_named),
        }[reference.kind]
        for look in kinds:
            found = look(reference, own)
            if found is not None:
                return found
        return None

    def _tasks_named(
        self, reference: Reference, own: BatchDraft
    ) -> list[BatchDraft | tuple[BatchDraft, TaskDraft]] | None:
        found = self._tasks.get(reference.id.casefold())
        if not found:
            return None
        mine = [each for each in found if each[0] is own]
        return list(mine[:1] or found)

    def _groups_named(
        self, reference: Reference, own: BatchDraft
    ) -> list[BatchDraft | tuple[BatchDraft, TaskDraft]] | None:
        found = self._groups.get(reference.id.casefold(), [])
        exact = [group for group in found if group.heading.keyword == reference.keyword]
        if exact or reference.keyword in self._keywords:
            found = exact
        if not found:
            return list(self._implicit) if reference.id == "0" and self._implicit else None
        return [draft for group in found for draft in self._batches_in(group)]

    def _batches_in(self, group: Group) -> list[BatchDraft]:
        """The batch of a group, or for a group that only holds groups all of theirs."""
        own = self._by_group.get(id(group))
        inner = [draft for child in group.children for draft in self._batches_in(child)]
        return [own, *inner] if own is not None else inner

    def _report_unknown(self, reference: Reference, line: int, who: str) -> None:
        tasks = [each[0][1].task.id for each in self._tasks.values()]
        numbers = [group[0].heading.number for group in self._groups.values()]
        known = {NeedKind.TASK: tasks, NeedKind.GROUP: numbers, NeedKind.EITHER: tasks + numbers}[reference.kind]
        near = difflib.get_close_matches(reference.id, known, n=1, cutoff=0.4)
        hint = f"Did you mean '{near[0]}'?" if near else "Correct or remove it."
        name = {NeedKind.TASK: "task ", NeedKind.GROUP: f"{reference.keyword.lower()} "}.get(reference.kind, "")
        self._problems.error(line, f"{who} depends on {name}{reference.id}, which is not in this plan. {hint}")


def _need(batch: BatchDraft, each: TaskDraft, line: int) -> TaskNeed:
    return TaskNeed(each.task.id, line, batch.number)
