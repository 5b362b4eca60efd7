"""One run of a record, held against git and the forge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_pipeline.execution.layout import run_prefix, slug, task_slug
from pytest_pipeline.execution.merges import MergeClaim, false_about, lost_at, trailers_in, trailers_of
from pytest_pipeline.forges.base import Forge, PullRequest, PullRequestState
from pytest_pipeline.host.git import Repository
from pytest_pipeline.plans.model import Task
from pytest_pipeline.record.claims import Claim, Record
from pytest_pipeline.record.model import Outcome


@dataclass
class Findings:
    """What became of the claims.

    Args:
        lies: sentences about what is not true.
        open: sentences about what cannot be confirmed.
        merges: merge commits that are where the record says, as it says.
        pull_requests: pull requests that are as the record says.
        runs: runs whose base branch holds exactly what the record says.
    """

    lies: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    merges: int = 0
    pull_requests: int = 0
    runs: int = 0


@dataclass(frozen=True)
class Base:
    """What a run has merged: the commits of its base branch since its start, the newest first."""

    branch: str
    tip: str
    start: str
    commits: tuple[str, ...]

    def until(self, commit: str) -> tuple[str, ...]:
        """What had been merged when it was at that commit, which it must have been."""
        return () if commit == self.start else self.commits[self.commits.index(commit) :]


@dataclass(frozen=True)
class RunVerifier:
    """Holds the test cases of one run against the forge.

    Args:
        record: the record; its base commit is the id of a commit.
        run: number of the run.
        admitted: whether the record says that it was admitted.
        forge: where its pull requests live.
        git: a repository of ours; what is fetched is kept there.
        tasks: the tasks of the known plans by plan, batch and id.
        found: takes what is found.
    """

    record: Record
    run: int
    admitted: bool
    forge: Forge
    git: Repository
    tasks: Mapping[tuple[str, str, str], Task]
    found: Findings

    def verify(self) -> None:
        """Look at everything.

        Raises:
            ForgeError: the forge does not answer.
        """
        claims = [each for each in self.record.claims if each.key.run == self.run]
        before = len(self.found.lies), len(self.found.open)
        base = self._base()
        for claim in claims:
            self._look_at_pull_request(claim, base)
        if base is None:
            return
        for claim in claims:
            self._look_at_merge(claim, base)
        for claim in claims:
            if claim.is_final_state and claim.outcome is Outcome.PASSED:
                self.found.lies += self._wrong_end(claim, base, claims)
        self._look_for_strangers(base, claims)
        self.found.runs += before == (len(self.found.lies), len(self.found.open))

    def _base(self) -> Base | None:
        """What the run has merged; None where that cannot be seen."""
        branch, start = f"{run_prefix(self.record.session, self.run)}/base", self.record.facts["base_commit"]
        tip = self.forge.branch_head(branch)
        if tip is None:
            if self.admitted:
                self.found.open.append(
                    f"The branch {branch} is gone from {self.forge.repository}, so what run {self.run} has merged "
                    "cannot be confirmed any more."
                )
            return None
        if not self.admitted:
            self.found.lies.append(
                f"The forge has {branch}; by the record, run {self.run} is none of its admitted runs."
            )
        if self.git.resolve(tip) is None:
            self.forge.fetch(branch, self.git)
        commits = tuple(self.git.first_parents(tip, until=start))
        oldest = self.git.commit(commits[-1]).parents[:1] if commits else (tip,)
        if oldest != (start,):
            self.found.lies.append(f"{branch} does not start from {start}, the base commit of the record.")
            return None
        return Base(branch, tip, start, commits)

    # Pull requests

    def _look_at_pull_request(self, claim: Claim, base: Base | None) -> None:
        branch = claim.facts.get("branch", "")
        if claim.is_final_state or branch not in branches_of(claim):
            return
        found, number = self.forge.find_pull_request(branch), claim.facts.get("pull_request")
        if number is None:
            self._look_for_unnamed(claim, found)
        elif found is None:  # where its base is gone too, somebody may have removed everything
            said = f"{first(claim)} names pull request {number}; the forge has none from {branch}."
            (self.found.lies if base is not None else self.found.open).append(said)
        elif self._was_open(claim, found):
            return  # it is confirmed with that one
        elif claim.facts.get("pull_request_state") == "open" and found.state is not PullRequestState.OPEN:
            self.found.open.append(
                f"The pull request {found.url} of {claim} is {found.state} by now; that it was open cannot be "
                "confirmed."
            )
        else:
            wrong = [*_differences(claim, found)]
            self.found.lies += wrong
            self.found.pull_requests += not wrong and not self._is_told_later(claim, "pull_request")

    def _attempts_at(self, claim: Claim) -> list[Claim]:
        return [each for each in self.record.claims if each.key == claim.key and each is not claim]

    def _is_told_later(self, claim: Claim, name: str) -> bool:
        """Whether a later attempt names the same: it found that the work of this one had been done."""
        later = [each for each in self._attempts_at(claim) if each.attempt > claim.attempt]
        return any(each.facts.get(name) == claim.facts.get(name) for each in later)

    def _was_open(self, claim: Claim, found: PullRequest) -> bool:
        """Whether a later attempt, which the record has, found the pull request of this one open and merged it."""
        last = self.record.decided[claim.key]
        return (
            last is not claim
            and (claim.facts.get("pull_request_state"), last.facts.get("pull_request_state")) == ("open", "merged")
            and claim.facts.get("pull_request") == last.facts.get("pull_request") == str(found.number)
        )

    def _look_for_unnamed(self, claim: Claim, found: PullRequest | None) -> None:
        if found is None or found.state is not PullRequestState.MERGED:
            return
        if any(each.facts.get("pull_request") == str(found.number) for each in self._attempts_at(claim)):
            return  # another attempt at the same task opened it
        sentence = f"{first(claim)} is {claim.outcome} and names no pull request; the forge has merged {found.url}."
        (self.found.open if claim.outcome is Outcome.INTERRUPTED else self.found.lies).append(sentence)

    # Merges

    def _look_at_merge(self, claim: Claim, base: Base) -> None:
        commit = claim.facts.get("merge_commit")
        if commit is None:
            return
        if commit not in base.commits:
            self.found.lies.append(f"{first(claim)} names the merge commit {commit}; {base.branch} does not hold it.")
            return
        wrong = [*false_about(self._merge(claim, base), self.git)]
        self.found.lies += wrong
        self.found.merges += not wrong and not self._is_told_later(claim, "merge_commit")

    def _merge(self, claim: Claim, base: Base) -> MergeClaim:
        key = claim.key
        task = self.tasks.get((key.plan, key.batch, key.task))
        return MergeClaim(claim, claim.facts["merge_commit"], task, base.start, base.commits)

    def _wrong_end(self, claim: Claim, base: Base, claims: Sequence[Claim]) -> Iterator[str]:
        end, told = claim.facts.get("commit", "no commit"), claim.facts.get("merges", "no")
        if end not in (*base.commits, base.start):
            yield f"{first(claim)} names {end}; {base.branch} does not hold it."
            return
        until = base.until(end)
        merged = sorted(
            {each.facts["merge_commit"]: each for each in claims if each.facts.get("merge_commit") in until}.values(),
            key=lambda each: -until.index(each.facts["merge_commit"]),
        )
        own = sum(each.key.plan == claim.key.plan for each in merged)
        if told != str(own):
            yield f"{first(claim)} names {told} merges of its plan; by the test cases there were {own}."
        yield from lost_at(end, [self._merge(each, base) for each in merged], self.git)

    # What nobody claims

    def _look_for_strangers(self, base: Base, claims: Sequence[Claim]) -> None:
        """Commits that came to the base by no claim."""
        told = ("merge_commit", "commit", "updated_commit")
        claimed = {claim.facts.get(name) for claim in claims if not claim.is_final_state for name in told}
        merged = {claim.facts.get("merge_commit") for claim in claims}
        interrupted = [trailers_of(each.key) for each in claims if each.outcome is Outcome.INTERRUPTED]
        for sha in self.git.text("rev-list", base.tip, f"^{base.start}").split():
            known = sha in merged if sha in base.commits else sha in claimed or self._brings_up_to_date(sha, base)
            if not known:
                message = self.git.commit(sha).message
                subject = message.partition("\n")[0]
                unsure = trailers_in(message) in interrupted
                (self.found.open if unsure else self.found.lies).append(
                    f"{base.branch} holds {sha} ({subject}), which no test case of the record claims."
                )

    def _brings_up_to_date(self, sha: str, base: Base) -> bool:
        """Whether it merges the base into a branch that was behind."""
        parents = self.git.commit(sha).parents
        return len(parents) == 2 and parents[1] in (*base.commits, base.start)


def _differences(claim: Claim, found: PullRequest) -> Iterator[str]:
    facts = claim.facts
    true = {
        "pull_request": ("number", str(found.number)),
        "pull_request_url": ("address", found.url),
        "pull_request_state": ("state", str(found.state)),
        "base_branch": ("base branch", found.base),
        **({"merge_commit": ("merge commit", found.merge_commit)} if found.merge_commit else {}),
    }
    for name, (what, value) in true.items():
        if facts.get(name) != value:
            yield f"The pull request of {claim} has the {what} {value}; the record says {facts.get(name, 'none')}."
    head = facts.get("updated_commit", facts.get("commit", "none"))
    if found.head != head:
        yield f"The pull request of {claim} has the head {found.head}; the record says {head}."


def branches_of(claim: Claim) -> list[str]:
    """The branches that attempts at a task run push, up to the attempt of that number."""
    key = claim.key
    own = f"{run_prefix(key.session, key.run)}/{slug(key.plan)}/{task_slug(key.batch, key.task)}"
    return [own, *(f"{own}-attempt-{number}" for number in range(2, min(claim.attempt, 1000) + 1))]


def first(claim: Claim) -> str:
    """A claim at the beginning of a sentence."""
    name = str(claim)
    return name[0].upper() + name[1:]
