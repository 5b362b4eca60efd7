"""Pull requests, references and checks: situations, GitHub's answers, and what git holds afterwards."""

from __future__ import annotations

import pytest

from tests.github_world import Check, GitHubWorld, Hosted, Rule, faults
from tests.github_world.asking import ask, opened

REPO = "/repos/acme/demo"


def state(world: GitHubWorld, path: str) -> tuple[bool | None, str]:
    body = ask(world, "GET", path).body
    return body["mergeable"], body["mergeable_state"]


class TestReferences:
    def test_one_and_those_that_begin_so(self, world: GitHubWorld, demo: Hosted) -> None:
        sha = demo.commit("feature", {"a": "1"})
        demo.commit("feature-two", {"a": "2"})
        found = ask(world, "GET", f"{REPO}/git/ref/heads/feature").body
        assert (found["ref"], found["object"]["sha"]) == ("refs/heads/feature", sha)
        matching = ask(world, "GET", f"{REPO}/git/matching-refs/heads/feature").body
        assert [each["ref"] for each in matching] == ["refs/heads/feature", "refs/heads/feature-two"]
        assert ask(world, "GET", f"{REPO}/git/ref/heads/featur").status == 404
        assert ask(world, "GET", f"{REPO}/git/matching-refs/heads/none").body == []

    def test_create_move_and_delete(self, world: GitHubWorld, demo: Hosted) -> None:
        first, second = demo.branches()["main"], demo.commit("other", {"a": "1"})
        wish = {"ref": "refs/heads/new", "sha": first}
        assert ask(world, "POST", f"{REPO}/git/refs", wish).status == 201
        assert ask(world, "POST", f"{REPO}/git/refs", wish).message == "Reference already exists"
        assert ask(world, "POST", f"{REPO}/git/refs", wish | {"sha": "0" * 39 + "1"}).message == "Object does not exist"
        at = f"{REPO}/git/refs/heads/new"
        assert ask(world, "PATCH", at, {"sha": second}).status == 200
        assert ask(world, "PATCH", at, {"sha": first}).message == "Update is not a fast forward"
        assert ask(world, "PATCH", at, {"sha": first, "force": True}).status == 200
        assert demo.branches()["new"] == first
        assert ask(world, "DELETE", at).status == 204
        again = ask(world, "DELETE", at)
        assert (again.status, again.message) == (422, "Reference does not exist")

    def test_an_empty_repository(self, world: GitHubWorld) -> None:
        world.add_repository("acme/empty", files={})
        assert ask(world, "GET", "/repos/acme/empty/git/ref/heads/main").status == 409

    def test_rest_sees_a_branch_late(self, world: GitHubWorld, demo: Hosted) -> None:
        world.lag.refs = 2
        for _ in range(3):
            ask(world, "GET", REPO)
        demo.commit("topic", {"a": "1"})
        statuses = [ask(world, "GET", f"{REPO}/git/ref/heads/topic").status for _ in range(3)]
        assert statuses == [404, 404, 200]

    def test_a_pull_request_of_a_branch_that_is_seen_late(self, world: GitHubWorld, demo: Hosted) -> None:
        world.lag.refs = 1
        ask(world, "GET", REPO)
        ask(world, "GET", REPO)
        demo.commit("topic", {"a": "1"})
        wish = {"title": "T", "head": "topic", "base": "main"}
        early = ask(world, "POST", f"{REPO}/pulls", wish)
        assert (early.status, early.problem) == (
            422,
            {"resource": "PullRequest", "field": "head", "code": "invalid"},
        )
        assert ask(world, "POST", f"{REPO}/pulls", wish).status == 201


class TestOpening:
    def test_what_github_refuses(self, world: GitHubWorld, demo: Hosted) -> None:
        opened(world, demo)
        main = demo.branches()["main"]
        demo.move("same", main, None)
        wish = {"title": "T", "head": "topic", "base": "main"}

        def problem(**change: str) -> dict[str, str]:
            answer = ask(world, "POST", f"{REPO}/pulls", wish | change)
            assert answer.status == 422
            return answer.problem

        assert problem()["message"] == "A pull request already exists for acme:topic."
        assert problem(head="acme:topic")["message"] == "A pull request already exists for acme:topic."
        assert problem(head="same")["message"] == "No commits between main and same"
        assert problem(head="none")["field"] == "head"
        assert problem(base="none")["field"] == "base"
        assert problem(title="") == {"resource": "Issue", "code": "missing_field", "field": "title"}

    def test_a_new_one_is_not_computed_yet(self, world: GitHubWorld, demo: Hosted) -> None:
        demo.commit("topic", {"a": "1"})
        made = ask(world, "POST", f"{REPO}/pulls", {"title": "T", "head": "topic", "base": "main"}).body
        assert (made["mergeable"], made["mergeable_state"], made["merged"]) == (None, "unknown", False)
        assert made["html_url"] == f"{world.root}/acme/demo/pull/1"

    def test_lists(self, world: GitHubWorld, demo: Hosted) -> None:
        first, second = opened(world, demo, "one"), opened(world, demo, "two")
        assert ask(world, "PATCH", first, {"state": "closed"}).body["state"] == "closed"

        def numbers(query: str) -> list[int]:
            return [each["number"] for each in ask(world, "GET", f"{REPO}/pulls?{query}").body]

        assert numbers("") == [2]
        assert numbers("state=all") == [2, 1]
        assert numbers("state=closed&head=acme:one") == [1]
        assert numbers("state=all&head=one") == [2, 1], "a head without its owner is ignored"
        assert numbers("state=all&base=other") == []
        assert "mergeable" not in ask(world, "GET", f"{REPO}/pulls").body[0]
        sha = ask(world, "GET", second).body["head"]["sha"]
        assert [each["number"] for each in ask(world, "GET", f"{REPO}/commits/{sha}/pulls").body] == [2]

    def test_lists_and_reads_are_late(self, world: GitHubWorld, demo: Hosted) -> None:
        world.lag.lists, world.lag.pulls = 1, 2
        path = opened(world, demo)
        assert ask(world, "GET", f"{REPO}/pulls").body == []
        assert len(ask(world, "GET", f"{REPO}/pulls").body) == 1
        assert ask(world, "PUT", f"{path}/merge").status == 200
        assert ask(world, "GET", path).body["merged"] is False
        assert ask(world, "GET", path).body["state"] == "open"
        assert ask(world, "GET", path).body["merged"] is True


class TestMergeable:
    def test_it_is_null_for_some_reads_after_each_change(self, world: GitHubWorld, demo: Hosted) -> None:
        world.lag.mergeable = 2
        path = opened(world, demo)
        assert [state(world, path)[0] for _ in range(3)] == [None, None, True]
        demo.commit("main", {"other": "1"})
        assert [state(world, path)[0] for _ in range(3)] == [None, None, True]
        assert state(world, path) == (True, "clean"), "that the base is ahead does not matter"

    def test_it_is_null_for_some_seconds(self, world: GitHubWorld, demo: Hosted) -> None:
        moment = [1_700_000_000.0]
        world.clock = lambda: moment[0]
        world.lag.mergeable_seconds = 120
        path = opened(world, demo)
        assert state(world, path) == (None, "unknown")
        moment[0] += 120
        assert state(world, path) == (True, "clean")

    def test_a_conflict(self, world: GitHubWorld, demo: Hosted) -> None:
        path = opened(world, demo)
        before = demo.commit("main", {"topic.txt": "other\n"})
        assert state(world, path) == (False, "dirty")
        refused = ask(world, "PUT", f"{path}/merge", {"merge_method": "squash"})
        assert (refused.status, refused.message) == (405, "Pull Request is not mergeable")
        assert demo.branches()["main"] == before
        assert ask(world, "PUT", f"{path}/update-branch", {}).status == 422

    @pytest.mark.parametrize("kind", ["check", "status"])
    def test_a_required_check_and_its_course(self, world: GitHubWorld, demo: Hosted, kind: str) -> None:
        demo.protect("main", Rule(required=("build",)))
        demo.ci.append(Check("build", kind=kind, starts=2, ends=4))
        path = opened(world, demo)
        said = [ask(world, "PUT", f"{path}/merge").message for _ in range(3)]
        assert said == [f'Required status check "build" is {word}.' for word in ("expected", "pending", "pending")]
        assert state(world, path) == (True, "clean")

    def test_checks_that_fail_or_never_come(self, world: GitHubWorld, demo: Hosted) -> None:
        path = opened(world, demo)
        demo.set_check("topic", Check("lint", outcome="failure"))
        assert state(world, path) == (True, "unstable")
        demo.protect("main", Rule(required=("lint", "build")))
        assert state(world, path) == (True, "blocked")
        assert ask(world, "PUT", f"{path}/merge").message == "2 of 2 required status checks are expected."
        demo.set_check("topic", Check("lint", outcome="neutral"))
        demo.set_check("topic", Check("build", outcome=None))
        assert state(world, path) == (True, "blocked")
        demo.set_check("topic", Check("build"))
        assert state(world, path) == (True, "clean")

    def test_behind_and_brought_up_to_date(self, world: GitHubWorld, demo: Hosted) -> None:
        demo.protect("main", Rule(strict=True))
        world.lag.update = 1
        path = opened(world, demo)
        old = demo.branches()["topic"]
        assert ask(world, "PUT", f"{path}/update-branch").message == "There are no new commits on the base branch."
        main = demo.commit("main", {"other": "1"})
        assert state(world, path) == (True, "behind")
        assert ask(world, "PUT", f"{path}/merge").status == 405
        wrong = ask(world, "PUT", f"{path}/update-branch", {"expected_head_sha": main})
        assert wrong.message == "expected head sha didn't match current head ref."
        assert ask(world, "PUT", f"{path}/update-branch", {"expected_head_sha": old}).status == 202
        assert [ask(world, "GET", path).body["head"]["sha"] == old for _ in range(2)] == [True, False]
        assert state(world, path) == (True, "clean")
        assert demo.git.commit(demo.branches()["topic"]).parents == (old, main)

    def test_not_brought_up_to_date(self, world: GitHubWorld, demo: Hosted) -> None:
        path = opened(world, demo)
        demo.commit("main", {"other": "1"})
        demo.settings.allow_update_branch = False
        assert ask(world, "PUT", f"{path}/update-branch").status == 403
        demo.settings.allow_update_branch = True
        ask(world, "PATCH", path, {"state": "closed"})
        assert ask(world, "PUT", f"{path}/update-branch").status == 422

    def test_drafts_and_reviews(self, world: GitHubWorld, demo: Hosted) -> None:
        demo.commit("draft", {"a": "1"})
        ask(world, "POST", f"{REPO}/pulls", {"title": "T", "head": "draft", "base": "main", "draft": True})
        assert state(world, f"{REPO}/pulls/1") == (True, "draft")
        assert ask(world, "PUT", f"{REPO}/pulls/1/merge").message == "Pull Request is still a draft"
        path = opened(world, demo)
        demo.protect("main", Rule(reviews=1))
        assert state(world, path) == (True, "blocked")
        assert "approving review" in ask(world, "PUT", f"{path}/merge").message


class TestMerging:
    @pytest.mark.parametrize(("method", "parents"), [("merge", 2), ("squash", 1), ("rebase", 1)])
    def test_what_lies_in_the_base_then(self, world: GitHubWorld, demo: Hosted, method: str, parents: int) -> None:
        path = opened(world, demo)
        head = demo.commit("topic", {"more.txt": "y\n"}, "More")
        demo.commit("main", {"other.txt": "z\n"})
        wish = {"merge_method": method, "sha": head, "commit_title": "Title", "commit_message": "Body"}
        merged = ask(world, "PUT", f"{path}/merge", wish)
        assert merged.status == 200
        assert merged.body == {
            "sha": demo.branches()["main"],
            "merged": True,
            "message": "Pull Request successfully merged",
        }
        commit = demo.git.commit(merged.body["sha"])
        assert len(commit.parents) == parents
        assert commit.message == ("More\n" if method == "rebase" else "Title\n\nBody\n")
        assert demo.git.text("log", "-1", "--format=%cn <%ce>", "main") == "GitHub <noreply@github.com>"
        listed = demo.git.text("ls-tree", "--name-only", "main").split()
        assert listed == ["README.md", "more.txt", "other.txt", "topic.txt"]
        body = ask(world, "GET", path).body
        assert (body["state"], body["merged"], body["mergeable"]) == ("closed", True, None)
        assert (body["merge_commit_sha"], body["merged_by"]["login"]) == (merged.body["sha"], "pipeline-bot")
        assert ask(world, "GET", f"{path}/merge").status == 204

    def test_twice(self, world: GitHubWorld, demo: Hosted) -> None:
        path = opened(world, demo)
        assert ask(world, "GET", f"{path}/merge").status == 404
        assert ask(world, "PUT", f"{path}/merge").status == 200
        assert ask(world, "PUT", f"{path}/merge").message == "Pull Request is not mergeable"
        assert ask(world, "PATCH", path, {"state": "open"}).status == 422

    @pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
    def test_a_method_that_is_not_allowed(self, world: GitHubWorld, demo: Hosted, method: str) -> None:
        setting = "allow_merge_commit" if method == "merge" else f"allow_{method}_merge"
        setattr(demo.settings, setting, False)
        path = opened(world, demo)
        refused = ask(world, "PUT", f"{path}/merge", {"merge_method": method})
        assert refused.status == 405
        assert refused.message.endswith("are not allowed on this repository.")
        assert ask(world, "PUT", f"{path}/merge", {"merge_method": "none"}).status == 422

    def test_a_base_that_moves_meanwhile(self, world: GitHubWorld, demo: Hosted) -> None:
        path = opened(world, demo)
        world.faults.add("PUT */merge", faults.base_modified())
        refused = ask(world, "PUT", f"{path}/merge")
        assert (refused.status, refused.message) == (
            405,
            "Base branch was modified. Review and try the merge again.",
        )
        assert ask(world, "PUT", f"{path}/merge").status == 200

    def test_a_push_that_github_does_not_know_of_yet(self, world: GitHubWorld, demo: Hosted) -> None:
        path = opened(world, demo)
        demo.git.run("update-ref", "refs/heads/main", demo.branches()["topic"])
        assert ask(world, "PUT", f"{path}/merge").message.startswith("Base branch was modified.")
        demo.refresh()
        assert ask(world, "GET", path).body["merged"] is True

    def test_github_deletes_the_branch_itself(self, world: GitHubWorld, demo: Hosted) -> None:
        demo.settings.delete_branch_on_merge = True
        world.lag.deletion = 1
        path = opened(world, demo)
        assert ask(world, "PUT", f"{path}/merge").status == 200
        statuses = [ask(world, "GET", f"{REPO}/git/ref/heads/topic").status for _ in range(2)]
        assert statuses == [200, 404]

    def test_deleting_a_branch_closes_what_comes_from_it_or_goes_into_it(
        self, world: GitHubWorld, demo: Hosted
    ) -> None:
        lower, upper = opened(world, demo, "lower"), opened(world, demo, "upper", base="main")
        demo.commit("upmost", {"z": "1"})
        ask(world, "POST", f"{REPO}/pulls", {"title": "T", "head": "upmost", "base": "lower"})
        assert ask(world, "DELETE", f"{REPO}/git/refs/heads/lower").status == 204
        states = [ask(world, "GET", path).body["state"] for path in (lower, upper, f"{REPO}/pulls/3")]
        assert states == ["closed", "open", "closed"]
        assert ask(world, "PATCH", lower, {"state": "open"}).status == 422


class TestChecks:
    def test_the_combined_status_knows_no_check_runs(self, world: GitHubWorld, demo: Hosted) -> None:
        at = f"{REPO}/commits/main"
        demo.set_check("main", Check("build"))
        combined = ask(world, "GET", f"{at}/status").body
        assert (combined["state"], combined["total_count"]) == ("pending", 0)
        runs = ask(world, "GET", f"{at}/check-runs").body
        assert [(run["name"], run["conclusion"]) for run in runs["check_runs"]] == [("build", "success")]

    @pytest.mark.parametrize(
        ("outcome", "expected"), [("success", "success"), ("failure", "failure"), (None, "pending")]
    )
    def test_statuses(self, world: GitHubWorld, demo: Hosted, outcome: str | None, expected: str) -> None:
        demo.set_check("main", Check("other", kind="status"))
        demo.set_check("main", Check("build", outcome=outcome, kind="status"))
        combined = ask(world, "GET", f"{REPO}/commits/{demo.branches()['main']}/status").body
        assert (combined["state"], combined["total_count"]) == (expected, 2)

    def test_a_fine_grained_token_reads_no_check_runs(self, world: GitHubWorld, demo: Hosted) -> None:
        token = world.add_token(fine_grained=True)
        assert ask(world, "GET", f"{REPO}/commits/main/check-runs", token=token).status == 403
        assert ask(world, "GET", f"{REPO}/commits/main/status", token=token).status == 200

    def test_what_is_demanded_of_a_branch(self, world: GitHubWorld, demo: Hosted) -> None:
        demo.protect("main", Rule(required=("build",)))
        protection = ask(world, "GET", f"{REPO}/branches/main").body["protection"]
        assert protection["required_status_checks"]["contexts"] == ["build"]
        assert ask(world, "GET", f"{REPO}/rules/branches/main").body == []
        demo.protect("main", Rule(required=("build",), ruleset=True))
        rules = ask(world, "GET", f"{REPO}/rules/branches/main").body
        assert rules[0]["parameters"]["required_status_checks"] == [{"context": "build"}]
        assert ask(world, "GET", f"{REPO}/rules/branches/any").body == []
        assert ask(world, "GET", f"{REPO}/branches/none").message == "Branch not found"
