from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_pipeline.errors import ForgeError
from pytest_pipeline.findings import Finding, Level
from pytest_pipeline.forges.base import ChecksRule as Checks
from pytest_pipeline.forges.gate_budget import Budget
from pytest_pipeline.forges.github.address import Address
from pytest_pipeline.forges.github.client import Client
from pytest_pipeline.forges.github.preflight import Intent, Preflight
from pytest_pipeline.forges.github.push import push_environment
from pytest_pipeline.forges.github.token import Token
from pytest_pipeline.host.git import Repository
from tests.forges.github_scene import BASE, NAME, WORK, Scene, scene_in
from tests.github_world import Hosted, Rule, faults
from tests.github_world.answers import Answer

NO_RULES = f"No ruleset demands anything of branches such as {BASE}"
RULESET = Rule(ruleset=True)
EXCLUDE = "Exclude refs/heads/pipeline/**/* from that ruleset (Settings > Rules > Rulesets)"
BYPASS = f"{EXCLUDE}, or put this token's user on its bypass list."
UNMERGED = f"{EXCLUDE}, or leave the pull requests open with --no-auto-merge."


class Desk:
    """A scene, and the question whether a session may begin there."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.hosted: Hosted = scene.hosted
        self.intent = Intent(BASE, WORK, scene.start)
        self.name = NAME

    def ask(self, budget: Callable[[], Budget] | None = None, url: str | None = None) -> tuple[Finding, ...]:
        scene = self.scene
        client = Client(self.name, scene.token, base_url=url or scene.world.url, gate=scene.gate, timeout=20)
        address, token = Address.parse(self.name, api_url=scene.world.url), Token(scene.token, "a test")
        preflight = Preflight(
            client,
            push_url=address.push_url,
            push_environment=lambda: push_environment(address, token),
            git=Repository(scene.work.git_dir),
            waiting=scene.time.waiting,
        )
        try:
            return preflight.findings(self.intent, budget)
        finally:
            client.close()

    def told(self) -> list[tuple[str, str]]:
        """What is not simply well: subject and sentences."""
        return [(each.subject, str(each)) for each in self.ask() if each.level is not Level.OK]

    def no(self) -> tuple[str, str]:
        """The only "no"."""
        (found,) = [(each.subject, str(each)) for each in self.ask() if not each.ok]
        return found

    def protect(self, rule: Rule, pattern: str = "pipeline/*") -> None:
        self.hosted.protect(pattern, rule)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with scene_in(tmp_path) as scene:
        scene.world.requests.clear()
        yield Desk(scene)


# --- all is well ------------------------------------------------------------------------------------------------------


def test_when_all_is_well_each_thing_is_said_to_be(desk: Desk) -> None:
    assert desk.ask(lambda: Budget(True, 60.0, "It fits.")) == (
        Finding.good("repository", f"This token sees {NAME}."),
        Finding.good("push", f"This token may push to {NAME}."),
        Finding.good("pull requests", f"This token may open pull requests in {NAME}."),
        Finding.good("merge", f"{NAME} allows the merge method squash."),
        Finding.good("rules", f"{NO_RULES} (classic protection shows only once there is one)."),
        Finding.good("budget", "It fits."),
    )
    assert desk.scene.time.sleeps == []


def test_it_costs_four_calls_and_the_first_request_of_a_push(desk: Desk) -> None:
    desk.ask()
    assert [(each.kind, each.method, each.path, each.query, each.status) for each in desk.scene.world.requests] == [
        ("api", "GET", f"/repos/{NAME}", "", 200),
        ("git", "GET", f"/{NAME}.git/info/refs", "service=git-receive-pack", 200),
        ("api", "POST", f"/repos/{NAME}/pulls", "", 422),
        ("api", "GET", f"/repos/{NAME}/rules/branches/{BASE}", "per_page=100", 200),
        ("api", "GET", f"/repos/{NAME}/rules/branches/{WORK}", "per_page=100", 200),
    ]
    assert desk.scene.gate.calls == ["read", "write", "read", "read"]


@pytest.mark.parametrize("there", [False, True])
def test_nothing_on_github_is_changed(desk: Desk, there: bool) -> None:
    if there:
        desk.scene.open({"new": "1"})
        desk.hosted.commit(BASE, {"more": "1"})
        desk.hosted.commit("main", {"another": "1"})
    desk.protect(replace(RULESET, required=("build",), on_create=True, others=("creation", "deletion")))
    before = dict(desk.hosted.branches()), {number: pull.now for number, pull in desk.hosted.pulls.items()}
    desk.intent = replace(desk.intent, rule=Checks.ALL)
    desk.ask()
    desk.hosted.refresh()
    assert (desk.hosted.branches(), {number: pull.now for number, pull in desk.hosted.pulls.items()}) == before


# --- the repository ---------------------------------------------------------------------------------------------------


def repository_alone(desk: Desk, url: str | None = None) -> str:
    """The sentences about the repository, after which nothing more is asked."""
    (found,) = desk.ask(url=url)
    assert (found.subject, found.ok) == ("repository", False)
    return str(found)


def test_a_revoked_token_is_told_and_nothing_more_is_asked(desk: Desk) -> None:
    desk.scene.world.revoke(desk.scene.token)
    assert repository_alone(desk) == (
        f"{desk.scene.world.url} does not show {NAME} to this token (status 401: Bad credentials). "
        "Use a token that is neither expired nor revoked."
    )
    assert len(desk.scene.world.requests) == 1


def test_a_repository_that_is_not_there_or_not_shown_is_told(desk: Desk) -> None:
    desk.name = "octo/exampel"
    assert repository_alone(desk) == (
        f"{desk.scene.world.url} does not show octo/exampel to this token (status 404: Not Found). "
        "Look for a mistake in the repository's name; GitHub also says so when the token may not see it."
    )


def test_the_new_name_of_a_renamed_repository_is_told(desk: Desk) -> None:
    desk.scene.world.rename(NAME, "octo/renamed")
    assert repository_alone(desk) == f"{NAME} is called octo/renamed now. Name it so: --repo octo/renamed."


def test_capital_letters_make_no_other_name(desk: Desk) -> None:
    desk.name = "Octo/Example"
    assert desk.told() == []


def test_an_archived_repository_is_told(desk: Desk) -> None:
    desk.hosted.settings.archived = True
    assert repository_alone(desk) == (
        f"{NAME} is archived, so nothing can be pushed to it. "
        "Unarchive it (Settings > General > Danger Zone), or name another."
    )


def test_a_server_that_does_not_answer_is_given_up_soon(desk: Desk) -> None:
    desk.scene.world.faults.add("GET /repos/*", faults.reset(), times=100)
    said = repository_alone(desk)
    assert said.startswith(f"{desk.scene.world.url} does not show {NAME} to this token (no answer: ")
    assert said.endswith(
        "Look at githubstatus.com, or at the server if it is your own, and start again when it answers."
    )
    assert desk.scene.time.now == 15.0


def test_a_short_outage_is_waited_out(desk: Desk) -> None:
    for route in ("GET /repos/*", "GET *info/refs", "POST *pulls"):
        desk.scene.world.faults.add(route, faults.status(502))
    assert desk.told() == []
    assert len(desk.scene.time.sleeps) == 3


def test_what_is_no_github_is_told(desk: Desk) -> None:
    for odd in (["welcome"], {"hello": "world"}):
        desk.scene.world.faults.add("GET /repos/*", faults.answered(Answer(200, odd)))
        assert "does not show octo/example to this token (status 200: nothing)." in repository_alone(desk)
    away = faults.answered(Answer(301, {}, {"Location": "https://elsewhere.example/"}))
    desk.scene.world.faults.add("GET /repos/*", away)
    assert repository_alone(desk) == (f"GitHub points elsewhere. Look at the API's address, {desk.scene.world.url}.")


# --- push and pull requests -------------------------------------------------------------------------------------------


def test_a_fine_grained_token_that_may_only_read_is_told_by_git(desk: Desk) -> None:
    desk.scene.token = desk.scene.world.add_token(permission="read", fine_grained=True)
    assert desk.told() == [
        (
            "push",
            f"This token may not push to {NAME} (git was told: Permission to {NAME}.git denied to pipeline-bot). "
            "Give the token the permission contents: write; its user needs write access as well.",
        ),
        (
            "pull requests",
            f"This token may not open pull requests in {NAME} "
            "(status 403: Resource not accessible by personal access token). "
            "Give the token the permission pull requests: write, or use another token.",
        ),
        ("merge", f"GitHub does not show this token whether {NAME} allows the merge method squash."),
    ]
    assert desk.scene.time.sleeps == []


def test_a_classic_token_is_as_good_as_its_user(desk: Desk) -> None:
    desk.scene.token = desk.scene.world.add_token(permission="read")
    (_, push), (_, pulls), _ = desk.told()
    assert push.endswith(
        "Give the token's user write access (Settings > Collaborators and teams), or use another token."
    )
    assert pulls.endswith("Give the token the scope repo and its user write access, or use another token.")


@pytest.mark.parametrize(
    ("scopes", "private", "enough"),
    [("gist", False, False), ("", True, False), ("gist, public_repo", False, True), ("public_repo", True, False)],
)
def test_a_classic_token_needs_a_scope(desk: Desk, scopes: str, private: bool, enough: bool) -> None:
    desk.scene.token = desk.scene.world.add_token(permission="read")
    desk.hosted.settings.private = private
    body = {"full_name": NAME, "private": private}
    told = faults.answered(Answer(200, body, {"X-OAuth-Scopes": scopes}))
    desk.scene.world.faults.add(f"GET /repos/{NAME}", told)
    push = dict(desk.told())["push"]
    assert push.endswith("Give the token the scope repo, or use another token.") == (not enough)


def test_a_token_that_may_push_but_open_no_pull_requests_is_told(desk: Desk) -> None:
    desk.scene.token = desk.scene.world.add_token(permission="contents", fine_grained=True)
    assert desk.no() == (
        "pull requests",
        f"This token may not open pull requests in {NAME} "
        "(status 403: Resource not accessible by personal access token). "
        "Give the token the permission pull requests: write, or use another token.",
    )


def test_what_is_hidden_is_not_allowed(desk: Desk) -> None:
    desk.scene.world.faults.add("POST *pulls", faults.status(404, "Not Found"))
    assert desk.no()[1].startswith(f"This token may not open pull requests in {NAME} (status 404: Not Found).")


def test_the_setting_that_actions_need_is_named(desk: Desk) -> None:
    said = "GitHub Actions is not permitted to create or approve pull requests."
    desk.scene.world.faults.add("POST *pulls", faults.status(403, said))
    assert desk.no()[1].endswith(
        "Turn on Settings > Actions > General > Allow GitHub Actions to create and approve pull requests."
    )


@pytest.mark.parametrize("code", [403, 422])
def test_a_limit_says_nothing_about_permissions(desk: Desk, code: int) -> None:
    desk.scene.world.faults.add("POST *pulls", faults.status(code, "was submitted too quickly"), times=100)
    assert desk.no() == (
        "pull requests",
        f"GitHub did not judge a pull request in {NAME} (status {code}: was submitted too quickly). "
        "Wait some minutes and start again with fewer tasks at a time.",
    )


def test_a_git_that_does_not_get_through_is_no_missing_permission(desk: Desk) -> None:
    desk.scene.world.faults.add("GET *info/refs", faults.status(502), times=100)
    subject, said = desk.no()
    assert subject == "push"
    assert said.startswith(f"git could not ask {desk.scene.url} for a push: fatal: unable to access")
    assert said.endswith("Look whether the server answers git as well (a proxy, a firewall), and start again.")
    assert desk.scene.time.now == 15.0


def test_a_server_that_repeats_the_token_does_not_get_it_shown(desk: Desk) -> None:
    token = Token(desk.scene.token, "a test")
    echo = Answer(403, raw=f"You sent {token.basic}".encode(), media="text/plain")
    desk.scene.world.faults.add("GET *info/refs", faults.answered(echo))
    assert desk.no()[1].startswith(f"This token may not push to {NAME} (git was told: You sent ***). Give")


# --- merges -----------------------------------------------------------------------------------------------------------


def test_a_forbidden_merge_method_is_told_with_its_setting_and_what_is_allowed(desk: Desk) -> None:
    desk.hosted.settings.allow_rebase_merge = False
    desk.intent = replace(desk.intent, methods=("squash", "rebase"))
    assert desk.told() == [
        (
            "merge",
            f"{NAME} does not allow the merge method rebase. Turn on Settings > General > Pull Requests > "
            "Allow rebase merging, or choose --merge-method merge or squash (merge_method in a plan).",
        )
    ]


@pytest.mark.parametrize(
    ("method", "setting"),
    [("merge", "Allow merge commits"), ("squash", "Allow squash merging"), ("rebase", "Allow rebase merging")],
)
def test_each_merge_method_has_its_setting(desk: Desk, method: str, setting: str) -> None:
    desk.hosted.settings.allow_merge_commit = method != "merge"
    desk.hosted.settings.allow_squash_merge = method != "squash"
    desk.hosted.settings.allow_rebase_merge = method != "rebase"
    desk.intent = replace(desk.intent, methods=(method,))
    assert f"Turn on Settings > General > Pull Requests > {setting}, or choose" in desk.no()[1]


def test_a_ruleset_may_forbid_a_merge_method_too(desk: Desk) -> None:
    desk.hosted.settings.allow_merge_commit = False
    desk.protect(replace(RULESET, methods=("rebase", "merge")))
    assert desk.told() == [
        (
            "merge",
            f"Ruleset 1 of {NAME} does not allow the merge method squash. Allow it there "
            "(Settings > Rules > Rulesets), or choose --merge-method rebase (merge_method in a plan).",
        )
    ]
    desk.protect(replace(RULESET, methods=("merge",)))
    assert desk.no()[1].endswith("Allow it there (Settings > Rules > Rulesets).")


def test_a_linear_history_allows_all_but_merge_commits(desk: Desk) -> None:
    desk.protect(replace(RULESET, others=("required_linear_history",)))
    assert desk.told() == []
    desk.intent = replace(desk.intent, methods=("merge", "rebase"))
    assert desk.told() == [
        (
            "merge",
            f"Ruleset 1 of {NAME} does not allow the merge method merge. Allow it there "
            "(Settings > Rules > Rulesets), or choose --merge-method squash or rebase (merge_method in a plan).",
        )
    ]


def test_that_github_deletes_branches_itself_is_told(desk: Desk) -> None:
    desk.hosted.settings.delete_branch_on_merge = True
    assert desk.told() == [("merge", f"{NAME} deletes merged branches itself, which is fine.")]


def test_who_does_not_merge_needs_no_merge_method(desk: Desk) -> None:
    desk.hosted.settings.allow_squash_merge = False
    desk.hosted.settings.delete_branch_on_merge = True
    desk.intent = replace(desk.intent, methods=())
    assert [each.subject for each in desk.ask()] == ["repository", "push", "pull requests", "rules"]


# --- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "what", "remedy"),
    [
        ("creation", "lets nobody make the pipeline's branches", BYPASS),
        ("required_signatures", "demands signed commits, which the pipeline's are not", BYPASS),
        ("merge_queue", "wants merges to go through a merge queue, which the pipeline does not", UNMERGED),
        ("update", "lets nobody change the bases of runs, so nothing can be merged into them", UNMERGED),
        ("deletion", "lets nobody delete the tasks' branches, which would fail each task after its merge", BYPASS),
    ],
)
def test_a_rule_that_hinders_is_told_once_with_its_ruleset(desk: Desk, kind: str, what: str, remedy: str) -> None:
    desk.protect(replace(RULESET, number=7, others=(kind,)))
    assert desk.no() == ("rules", f"Ruleset 7 of {NAME} {what}. {remedy}")


@pytest.mark.parametrize("kind", ["merge_queue", "update", "deletion"])
def test_rules_of_merges_do_not_hinder_who_does_not_merge(desk: Desk, kind: str) -> None:
    desk.protect(replace(RULESET, reviews=2, others=(kind,)))
    desk.intent = replace(desk.intent, methods=())
    assert all(each.ok for each in desk.ask())


@pytest.mark.parametrize(("count", "what"), [(1, "an approving review"), (2, "2 approving reviews")])
def test_a_demanded_review_is_told(desk: Desk, count: int, what: str) -> None:
    desk.protect(replace(RULESET, reviews=count), BASE)
    said = f"Ruleset 1 of {NAME} demands {what}, so each pull request would wait for ever. {UNMERGED}"
    assert desk.told() == [("rules", said)]


def test_reviews_into_a_branch_of_a_task_are_none_of_ours(desk: Desk) -> None:
    desk.protect(replace(RULESET, reviews=1, others=("merge_queue", "update")), WORK)
    assert desk.told() == []


def test_a_pull_request_rule_without_reviews_hinders_nothing(desk: Desk) -> None:
    desk.protect(replace(RULESET, pushes=False))
    assert desk.told() == []


def test_a_review_that_may_be_demanded_is_a_note(desk: Desk) -> None:
    rule: dict[str, Any] = {"type": "pull_request", "parameters": {"require_code_owner_review": True}}
    desk.scene.world.faults.add(f"GET *rules/branches/{BASE}", faults.answered(Answer(200, [rule])))
    said = (
        "Ruleset 0 of the repository may demand a review of a pull request (require_code_owner_review), "
        "which would then wait for ever."
    )
    assert Finding.note("rules", said) in desk.ask()
    demanded = {"type": "pull_request", "parameters": {**rule["parameters"], "required_approving_review_count": 1}}
    desk.scene.world.faults.add(f"GET *rules/branches/{BASE}", faults.answered(Answer(200, [demanded])))
    assert [each.ok for each in desk.ask() if each.subject == "rules"] == [False]


@pytest.mark.parametrize("kind", ["non_fast_forward", "copilot_code_review"])
def test_rules_that_stop_nothing_are_not_told(desk: Desk, kind: str) -> None:
    desk.protect(replace(RULESET, others=(kind,)))
    assert desk.told() == []


@pytest.mark.parametrize("kind", ["commit_message_pattern", "branch_name_pattern", "something_new"])
def test_a_rule_that_is_not_known_is_a_note_by_its_name(desk: Desk, kind: str) -> None:
    desk.protect(replace(RULESET, others=(kind,)))
    said = f"has the rule {kind} for the pipeline's branches, which only a push or a merge puts to test."
    assert Finding.note("rules", f"Ruleset 1 of {NAME} {said}") in desk.ask()
    assert len(desk.told()) == 1
    assert not any("/rulesets/" in each.path for each in desk.scene.world.requests)


def test_that_bases_stay_is_a_note(desk: Desk) -> None:
    desk.protect(replace(RULESET, others=("deletion",)), BASE)
    said = f"Ruleset 1 of {NAME} lets nobody delete the bases of runs, so they stay until you do."
    assert [each for each in desk.ask() if each.subject == "rules"] == [Finding.note("rules", said)]


@pytest.mark.parametrize(
    ("bypass", "hinders"), [("always", False), ("exempt", False), ("pull_requests_only", True), ("never", True)]
)
def test_a_ruleset_that_may_be_bypassed_does_not_hinder_a_push(desk: Desk, bypass: str, hinders: bool) -> None:
    desk.protect(replace(RULESET, number=3, bypass=bypass, others=("creation", "required_signatures", "merge_queue")))
    said = [str(each) for each in desk.ask() if not each.ok]
    assert len(said) == (3 if hinders else 1)
    assert "merge queue" in said[-1] + said[0]
    assert desk.scene.asked("GET", "/rulesets/3") == 1


def test_a_ruleset_that_is_not_shown_hinders(desk: Desk) -> None:
    desk.protect(replace(RULESET, bypass="always", others=("creation",)))
    for refusal in (faults.status(404, "Not Found"), faults.html(404)):
        desk.scene.world.faults.add("GET *rulesets/1", refusal)
        assert desk.no()[1].startswith(f"Ruleset 1 of {NAME} lets nobody make")


@pytest.mark.parametrize(
    "refusal",
    [(404, "Not Found"), (403, "Upgrade to GitHub Pro or make this repository public to enable this feature.")],
)
def test_where_there_are_no_rulesets_the_rest_is_told(desk: Desk, refusal: tuple[int, str]) -> None:
    desk.scene.world.faults.add("GET *rules/branches/*", faults.status(*refusal))
    assert desk.told() == [("rules", f"{NAME} has no rulesets: its plan or its server knows none.")]
    assert desk.scene.asked("GET", WORK) == 0


def test_rules_that_may_not_be_read_are_told(desk: Desk) -> None:
    desk.scene.world.faults.add("GET *rules/branches/*", faults.status(403, "Not for you"))
    subject, said = desk.no()
    assert subject == "rules"
    assert said.startswith(f"GitHub did not show the rules of {BASE} (status 403: Not for you). Give the token")


# --- checks -----------------------------------------------------------------------------------------------------------


def test_checks_that_will_be_waited_for_are_a_note(desk: Desk) -> None:
    desk.protect(replace(RULESET, required=("build",)), BASE)
    said = f"Ruleset 1 of {NAME} wants the check build to be green in each pull request, which waits for that."
    assert desk.told() == [("rules", said)]
    desk.protect(replace(RULESET, required=("build", "lint"), strict=True, on_create=True), BASE)
    said = (
        f"Ruleset 1 of {NAME} wants the checks build and lint to be green in each pull request, up to date with its "
        "base, which waits for that; runs can only start where they are."
    )
    assert desk.told() == [("rules", said)]


def test_checks_before_a_branch_may_be_pushed_are_told(desk: Desk) -> None:
    desk.protect(replace(RULESET, required=("build",), on_create=True), WORK)
    said = "wants the check build to be green before it takes a commit, so no task can push its branch"
    assert desk.told() == [("rules", f"Ruleset 1 of {NAME} {said}. {BYPASS}")]
    desk.protect(replace(RULESET, required=("build",)), WORK)
    assert desk.told() == []


def test_workflows_that_must_pass_are_as_checks(desk: Desk) -> None:
    desk.protect(replace(RULESET, others=("workflows",)))
    note, failure = (said for _, said in desk.told())
    assert note.startswith(f"Ruleset 1 of {NAME} wants the workflows to be green in each pull request")
    assert failure.startswith(f"Ruleset 1 of {NAME} wants the workflows to be green before it takes a commit")


@pytest.mark.parametrize(
    ("rule", "asked"), [(Checks.ALL, True), (Checks.REQUIRED, False), (Checks.NONE, False)], ids=str
)
def test_only_checks_that_count_are_read(desk: Desk, rule: Checks, asked: bool) -> None:
    desk.intent = replace(desk.intent, rule=rule)
    assert desk.told() == []
    assert desk.scene.asked("GET", "/commits/main/status") == asked
    assert desk.scene.asked("GET", "/commits/main/check-runs") == asked
    assert not any("/rulesets/" in each.path for each in desk.scene.world.requests)


def test_checks_are_read_where_there_are_commits(desk: Desk) -> None:
    desk.hosted.commit("trunk/main", {"new": "1"})
    desk.hosted.settings.default_branch = "trunk/main"
    desk.intent = replace(desk.intent, rule=Checks.ALL)
    assert desk.told() == []
    assert desk.scene.asked("GET", "/commits/trunk/main/status") == 1


def test_a_token_that_may_not_read_check_runs_cannot_demand_all(desk: Desk) -> None:
    desk.scene.token = desk.scene.world.add_token(fine_grained=True)
    desk.intent = replace(desk.intent, rule=Checks.ALL)
    assert desk.no() == (
        "checks",
        f"This token may not read the check runs of {NAME}; fine-grained tokens cannot. "
        "Use a classic token or an app's, or say `checks: required`.",
    )
    desk.intent = replace(desk.intent, methods=())
    assert desk.told() == []


def test_of_required_checks_the_runs_that_may_not_be_read_are_a_note(desk: Desk) -> None:
    desk.scene.token = desk.scene.world.add_token(fine_grained=True)
    desk.protect(replace(RULESET, required=("build",)))
    said = (
        f"This token may not read the check runs of {NAME}; fine-grained tokens cannot. "
        "A required one that fails is waited for until the time is up."
    )
    assert Finding.note("checks", said) in desk.ask()
    assert all(each.ok for each in desk.ask())
    desk.intent = replace(desk.intent, rule=Checks.NONE)
    assert "checks" not in dict(desk.told())


def test_a_token_that_may_not_read_statuses_is_told(desk: Desk) -> None:
    desk.intent = replace(desk.intent, rule=Checks.ALL)
    desk.scene.world.faults.add("GET *status", faults.status(403, "Resource not accessible"))
    assert desk.no() == (
        "checks",
        f"This token may not read the commit statuses of {NAME}. "
        "Give it the permission commit statuses: read, or say `checks: none`.",
    )


def test_checks_that_cannot_be_read_for_another_reason_are_told_as_that(desk: Desk) -> None:
    desk.intent = replace(desk.intent, rule=Checks.ALL)
    desk.scene.world.faults.add("GET *status", faults.secondary(), times=100)
    subject, said = desk.no()
    assert subject == "rules"
    assert said.startswith(f"GitHub did not show commits/main/status of {NAME} (status 403: You have exceeded")


# --- budget -----------------------------------------------------------------------------------------------------------


def test_a_budget_that_does_not_fit_is_told(desk: Desk) -> None:
    found = desk.ask(lambda: Budget(False, 9000.0, "They take 3 h. Run fewer tasks."))
    assert [each for each in found if not each.ok] == [Finding.failed("budget", "They take 3 h. Run fewer tasks.")]


def test_the_budget_is_asked_when_answers_have_told_what_is_left(desk: Desk) -> None:
    calls: list[int] = []

    def budget() -> Budget:
        calls.append(len(desk.scene.gate.told))
        raise ForgeError("The files cannot be used. Make the directory.")

    assert desk.ask(budget)[-1] == Finding.failed("budget", "The files cannot be used. Make the directory.")
    assert calls == [4]
