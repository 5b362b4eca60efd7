"""Several sessions at once with one token: GitHub sees one careful client."""

from __future__ import annotations

import itertools

from tests.e2e.github_calls import mutation
from tests.e2e.github_injecting import MAKES
from tests.e2e.github_project import GitHubProject
from tests.github_world import Logged, faults

SESSIONS = 4
CHANGES = 6  # of one session: may I open a pull request; base, branch, pull request, merge, end of the branch
SPACING = 1.0  # seconds, GitHub's own advice and the pace `documented`
BLOCK = 3  # seconds
MEETS = f"""
    touch $OUTSIDE/arrived-$$
    until test $(ls $OUTSIDE | grep -c arrived) -ge {SESSIONS}; do sleep 0.05; done
    echo made > a.txt
"""


def through_the_gate(logged: Logged) -> bool:
    """Whether a request is one that takes turns: REST and pushes do, what git only reads does not."""
    return logged.kind == "api" or "receive-pack" in logged.path + logged.query


def test_sessions_with_one_token_change_one_by_one_and_all_heed_a_limit(github: GitHubProject) -> None:
    github.write(MAKES)
    agent = github.project.agent(MEETS)
    github.world.faults.add("PUT /repos/*/merge", faults.secondary(BLOCK), nth=2)

    processes = [github.start("plans", "--forge-pace", "documented", agent=agent) for _ in range(SESSIONS)]
    texts = [process.communicate(timeout=240)[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * SESSIONS, texts
    assert len(github.hosted.pulls) == len(set(github.merged())) == SESSIONS
    changes = sorted((each for each in github.world.requests if mutation(each)), key=lambda each: each.began)
    assert len(changes) == CHANGES * SESSIONS + 1
    pauses = [after.began - before.ended for before, after in itertools.pairwise(changes)]
    assert min(pauses) >= SPACING
    (limited,) = [each for each in changes if each.status == 403]
    calls = [each.began - limited.ended for each in github.world.requests if through_the_gate(each)]
    assert [after for after in calls if 0 <= after < BLOCK] == []
    assert [after for after in calls if after >= BLOCK] != []
