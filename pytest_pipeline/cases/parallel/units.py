"""What one worker does in one piece, and what must have ended before: batches in runs. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_pipeline.cases.order import CaseKey

_Group = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What a scheduler knows of an item of a plan.

    Args:
        case: which item it is.
        needs: the tasks that must have ended before; those that are not selected count as met.
        batch_parallel: whether the tasks of its batch may run side by side.
    """

    case: CaseKey
    needs: tuple[CaseKey, ...] = ()
    batch_parallel: bool = False

    @property
    def is_final_state(self) -> bool:
        """Whether it looks at what all tasks of its run have left."""
        return not self.case.batch


@dataclass(frozen=True, slots=True)
class Unit:
    """Items that run in order on one worker.

    Args:
        name: for whoever reads it.
        run: number of the run.
        indices: the items, as places in the collection; none in a milestone, which only others wait for.
        needs: the units, by number, that must have ended before it starts.
        chain: how many items there are on the longest way from its first item to the end of its run.
    """

    name: str
    run: int
    indices: tuple[int, ...]
    needs: frozenset[int]
    chain: int


@dataclass
class _Draft:
    """A unit while its needs are gathered: those of its items, and in a batch that was split the item before."""

    name: str
    run: int
    indices: list[int] = field(default_factory=list)
    needs: set[_Group] = field(default_factory=set)


def units_of(items: Sequence[Scheduled | None]) -> tuple[Unit, ...]:
    """The units of a collection, in its order; milestones come last.

    A unit is a batch in a run, a task of a batch whose tasks may run side by side, or a final state. The final states
    of a run wait for all tasks of the run, whichever plan they belong to, by one milestone in between. Batches that
    need one another in a circle, although their tasks do not, are split into tasks, which still run in order.

    Args:
        items: for each item of the collection what is known of it; None for one that belongs to no plan.
    """
    ours = {index: item for index, item in enumerate(items) if item is not None}
    groups = {index: _group(item) for index, item in ours.items()}
    drafts = _drafts(ours, groups)
    circular = _circular({group: draft.needs for group, draft in drafts.items()})
    if circular:
        split = {index: (ours[index].case,) if group in circular else group for index, group in groups.items()}
        drafts = _drafts(ours, split, in_order={index for index, group in groups.items() if group in circular})
    _add_milestones(ours, drafts)
    return _numbered(drafts)


def _group(item: Scheduled) -> _Group:
    alone = item.batch_parallel or item.is_final_state
    return (item.case,) if alone else (item.case.run, item.case.plan, item.case.batch)


def _drafts(
    ours: Mapping[int, Scheduled], groups: Mapping[int, _Group], in_order: Collection[int] = frozenset()
) -> dict[_Group, _Draft]:
    """Items by group, with what they need; those in order wait for nothing that stands behind them."""
    places = {item.case: index for index, item in ours.items()}
    drafts: dict[_Group, _Draft] = {}
    latest: dict[_Group, int] = {}
    for index, item in ours.items():
        draft = drafts.setdefault(groups[index], _Draft(_name(item, groups[index]), item.case.run))
        draft.indices.append(index)
        needs = [places[need] for need in item.needs if need in places]
        if index in in_order:
            batch = _group(item)
            needs = [need for need in [*needs, latest.get(batch, index)] if need not in in_order or need < index]
            latest[batch] = index
        draft.needs.update(groups[need] for need in needs if groups[need] != groups[index])
    return drafts


def _name(item: Scheduled, group: _Group) -> str:
    case = item.case
    what = case.task if len(group) == 1 else f"batch {case.batch}"
    return f"{case.plan}, run {case.run}, {what}"


def _circular(needs: Mapping[_Group, Collection[_Group]]) -> set[_Group]:
    """Those that, by way of others, need themselves."""
    stuck = set(needs) - set(_needs_first(needs))
    return {group for group in stuck if group in _reached_from(group, needs, stuck)}


def _reached_from(start: _Group, needs: Mapping[_Group, Iterable[_Group]], within: set[_Group]) -> set[_Group]:
    reached: set[_Group] = set()
    waiting = [start]
    while waiting:
        found = within.intersection(needs[waiting.pop()]) - reached
        reached |= found
        waiting.extend(found)
    return reached


def _needs_first(needs: Mapping[_Group, Collection[_Group]]) -> Iterator[_Group]:
    """Each behind those that it needs; what waits in a circle, or for one, is left out."""
    missing = {group: len(needed) for group, needed in needs.items()}
    dependants = _dependants(needs)
    ready = [group for group, count in missing.items() if not count]
    while ready:
        group = ready.pop()
        yield group
        for other in dependants[group]:
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)


def _dependants(needs: Mapping[_Group, Iterable[_Group]]) -> dict[_Group, list[_Group]]:
    dependants: dict[_Group, list[_Group]] = {group: [] for group in needs}
    for group, needed in needs.items():
        for need in needed:
            dependants[need].append(group)
    return dependants


def _add_milestones(ours: Mapping[int, Scheduled], drafts: dict[_Group, _Draft]) -> None:
    """One for each run: with plans by the hundred, edges from every final state to every task would be millions."""
    ends = [draft for draft in drafts.values() if ours[draft.indices[0]].is_final_state]
    tasks: dict[int, set[_Group]] = {draft.run: set() for draft in ends}
    for group, draft in drafts.items():
        if draft.run in tasks and not ours[draft.indices[0]].is_final_state:
            tasks[draft.run].add(group)
    for run, groups in tasks.items():
        drafts[run, "tasks"] = _Draft(f"all tasks of run {run}", run, needs=groups)
    for draft in ends:
        draft.needs.add((draft.run, "tasks"))


def _numbered(drafts: Mapping[_Group, _Draft]) -> tuple[Unit, ...]:
    numbers: dict[Hashable, int] = {group: number for number, group in enumerate(drafts)}
    chains = _chains(drafts)
    return tuple(
        Unit(
            draft.name,
            draft.run,
            tuple(draft.indices),
            frozenset(numbers[need] for need in draft.needs),
            chains[group],
        )
        for group, draft in drafts.items()
    )


def _chains(drafts: Mapping[_Group, _Draft]) -> dict[_Group, int]:
    needs = {group: draft.needs for group, draft in drafts.items()}
    dependants = _dependants(needs)
    chains: dict[_Group, int] = {}
    for group in reversed(list(_needs_first(needs))):
        behind = max((chains[other] for other in dependants[group]), default=0)
        chains[group] = len(drafts[group].indices) + behind
    return chains
