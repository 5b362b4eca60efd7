"""The loopback GitHub over plain HTTP: who may ask, what is answered, what goes wrong."""

from __future__ import annotations

import http.client
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pytest_pipeline.host.git import RefUpdate
from tests.github_world import GitHubWorld, Hosted, faults
from tests.github_world.asking import ask, opened

REPO = "/repos/acme/demo"


class TestWho:
    def test_without_a_token_or_with_a_wrong_one(self, world: GitHubWorld, demo: Hosted) -> None:
        assert ask(world, "GET", REPO, token="").status == 401
        wrong = ask(world, "GET", REPO, token="ghp_wrong")
        assert (wrong.status, wrong.message) == (401, "Bad credentials")
        assert wrong.body["status"] == "401"
        assert "documentation_url" in wrong.body

    def test_a_revoked_token_is_a_wrong_one(self, world: GitHubWorld, demo: Hosted) -> None:
        assert ask(world, "GET", REPO).status == 200
        world.revoke(world.token)
        assert ask(world, "GET", REPO).message == "Bad credentials"

    def test_without_a_user_agent(self, world: GitHubWorld, demo: Hosted) -> None:
        refused = ask(world, "GET", REPO, headers={"User-Agent": ""})
        assert refused.status == 403
        assert b"User-Agent" in refused.data

    def test_a_token_that_may_read(self, world: GitHubWorld, demo: Hosted) -> None:
        reader = world.add_token("reader", "read")
        repository = ask(world, "GET", REPO, token=reader).body
        assert repository["permissions"]["push"] is False
        assert "allow_squash_merge" not in repository
        refused = ask(world, "POST", f"{REPO}/pulls", {}, token=reader)
        assert (refused.status, refused.message) == (403, "Resource not accessible by personal access token")

    def test_a_token_that_may_not_see_it(self, world: GitHubWorld, demo: Hosted) -> None:
        stranger = world.add_token("stranger", "none")
        assert ask(world, "GET", REPO, token=stranger).status == 404
        demo.settings.private = False
        assert ask(world, "GET", REPO, token=stranger).status == 200

    def test_who_am_i(self, world: GitHubWorld) -> None:
        assert ask(world, "GET", "/user").body["login"] == "pipeline-bot"

    def test_an_archived_repository_is_not_written_to(self, world: GitHubWorld, demo: Hosted) -> None:
        demo.settings.archived = True
        assert ask(world, "POST", f"{REPO}/pulls", {}).status == 403
        assert ask(world, "GET", REPO).body["archived"] is True


class TestForm:
    def test_what_is_not_there(self, world: GitHubWorld, demo: Hosted) -> None:
        for path in (f"{REPO}/", f"{REPO}/pulls/7", f"{REPO}/nothing", "/repos/acme/other", "/nothing"):
            assert ask(world, "GET", path).status == 404, path

    def test_a_body_that_is_no_object(self, world: GitHubWorld, demo: Hosted) -> None:
        assert ask(world, "POST", f"{REPO}/pulls", b"{").message == "Problems parsing JSON"
        assert ask(world, "POST", f"{REPO}/pulls", [1]).message == "Body should be a JSON object"

    def test_an_answer_that_is_known_costs_nothing(self, world: GitHubWorld, demo: Hosted) -> None:
        first = ask(world, "GET", REPO)
        again = ask(world, "GET", REPO, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status, again.data) == (304, b"")
        assert again.headers["x-ratelimit-used"] == first.headers["x-ratelimit-used"] == "1"
        demo.settings.archived = True
        assert ask(world, "GET", REPO, headers={"If-None-Match": first.headers["etag"]}).status == 200

    def test_pages(self, world: GitHubWorld, demo: Hosted) -> None:
        main = demo.branches()["main"]
        demo.git.update_refs([RefUpdate(f"refs/heads/many/{number:03}", main, None) for number in range(101)])
        demo.refresh()
        path = f"{REPO}/git/matching-refs/heads/many"
        first = ask(world, "GET", path)
        assert len(first.body) == 30
        following = first.headers["link"].split(">")[0].lstrip("<").removeprefix(world.url)
        assert [each["ref"][-3:] for each in ask(world, "GET", following).body][::29] == ["030", "059"]
        last = ask(world, "GET", f"{path}?page=4")
        assert len(last.body) == 11
        assert 'rel="next"' not in last.headers["link"]
        assert len(ask(world, "GET", f"{path}?per_page=200").body) == 100

    def test_a_renamed_repository_redirects(self, world: GitHubWorld, demo: Hosted) -> None:
        world.rename("acme/demo", "acme/shown")
        read, written = ask(world, "GET", f"{REPO}/pulls?state=all"), ask(world, "POST", f"{REPO}/pulls", {})
        assert (read.status, written.status) == (301, 307)
        place = read.headers["location"].removeprefix(world.url)
        assert place == f"/repositories/{demo.id}/pulls?state=all"
        assert ask(world, "GET", place).body == []

    def test_every_request_is_in_the_log(self, world: GitHubWorld, demo: Hosted) -> None:
        ask(world, "GET", f"{REPO}/pulls?state=all")
        ask(world, "DELETE", f"{REPO}/git/refs/heads/none", token="")
        first, second = world.requests
        assert (first.method, first.path, first.query, first.status) == ("GET", f"{REPO}/pulls", "state=all", 200)
        assert (first.authorized, first.login, first.counted) == (True, "pipeline-bot", True)
        assert (second.status, second.authorized, second.login) == (401, False, None)
        assert first.began <= first.ended <= second.began
        assert world.token not in repr(world.requests)


class TestLimits:
    def test_the_hour_runs_out_and_begins_anew(self, world: GitHubWorld, demo: Hosted) -> None:
        moment = [1_700_000_000.0]
        world.clock = lambda: moment[0]
        world.limits.per_hour = 2
        left = [ask(world, "GET", REPO).headers["x-ratelimit-remaining"] for _ in range(2)]
        assert left == ["1", "0"]
        refused = ask(world, "GET", REPO)
        assert refused.status == 403
        assert refused.message.startswith("API rate limit exceeded")
        assert refused.headers["x-ratelimit-reset"] == str(1_700_003_600)
        assert ask(world, "GET", "/rate_limit").body["resources"]["core"]["remaining"] == 0
        moment[0] += 3600
        assert ask(world, "GET", REPO).status == 200

    def test_two_tokens_of_a_user_share_a_budget(self, world: GitHubWorld, demo: Hosted) -> None:
        ask(world, "GET", REPO)
        assert ask(world, "GET", REPO, token=world.add_token()).headers["x-ratelimit-used"] == "2"
        assert ask(world, "GET", REPO, token=world.add_token("other")).headers["x-ratelimit-used"] == "1"

    @pytest.mark.parametrize("retry_after", [None, 7])
    def test_too_much_content(self, world: GitHubWorld, demo: Hosted, retry_after: int | None) -> None:
        moment = [1_700_000_000.0]
        world.clock = lambda: moment[0]
        world.limits.content_per_minute, world.limits.retry_after = 1, retry_after
        opened(world, demo)
        refused = ask(world, "POST", f"{REPO}/pulls", {})
        assert refused.status == 403
        assert "blocked from content creation" in refused.message
        assert refused.headers.get("retry-after") == (retry_after and str(retry_after))
        assert ask(world, "GET", REPO).status == 200
        moment[0] += 61
        assert ask(world, "POST", f"{REPO}/pulls", {}).status == 422


class TestFaults:
    def test_the_nth_call_of_a_route(self, world: GitHubWorld, demo: Hosted) -> None:
        world.faults.add("GET /repos/*/pulls", faults.status(502), nth=2, times=2)
        answers = [ask(world, "GET", f"{REPO}/pulls").status for _ in range(4)]
        assert answers == [200, 502, 502, 200]
        assert ask(world, "GET", REPO).status == 200
        assert world.faults.left == 0

    def test_headers_of_the_limit_are_those_of_now(self, world: GitHubWorld, demo: Hosted) -> None:
        world.faults.add("GET *", faults.status(500), times=2)
        assert [ask(world, "GET", REPO).headers["x-ratelimit-used"] for _ in range(2)] == ["1", "2"]

    def test_a_reset_before_the_work(self, world: GitHubWorld, demo: Hosted) -> None:
        demo.commit("topic", {"a": "1"})
        world.faults.add("DELETE *", faults.reset())
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            ask(world, "DELETE", f"{REPO}/git/refs/heads/topic")
        assert "topic" in demo.branches()
        assert world.requests[-1].status == 0

    @pytest.mark.parametrize("code", [None, 502])
    def test_an_answer_that_is_lost(self, world: GitHubWorld, demo: Hosted, code: int | None) -> None:
        demo.commit("topic", {"a": "1"})
        world.faults.add("DELETE *", faults.lost(code))
        if code is None:
            with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
                ask(world, "DELETE", f"{REPO}/git/refs/heads/topic")
        else:
            answer = ask(world, "DELETE", f"{REPO}/git/refs/heads/topic")
            assert (answer.status, answer.data[:9]) == (502, b"<!DOCTYPE")
        assert "topic" not in demo.branches()

    def test_an_answer_that_breaks_off(self, world: GitHubWorld, demo: Hosted) -> None:
        world.faults.add("GET *", faults.cut())
        with pytest.raises(http.client.IncompleteRead):
            ask(world, "GET", REPO)

    def test_a_page_instead_of_json(self, world: GitHubWorld, demo: Hosted) -> None:
        world.faults.add("GET *", faults.html())
        answer = ask(world, "GET", REPO)
        assert (answer.status, answer.headers["content-type"], answer.body) == (502, "text/html", None)

    @pytest.mark.parametrize(("code", "retry_after"), [(403, None), (403, 60), (429, 60)])
    def test_a_secondary_limit(self, world: GitHubWorld, demo: Hosted, code: int, retry_after: int | None) -> None:
        world.faults.add("GET *", faults.secondary(retry_after, code=code))
        answer = ask(world, "GET", REPO)
        assert answer.status == code
        assert "secondary rate limit" in answer.message
        assert answer.headers.get("retry-after") == (retry_after and "60")
        assert answer.headers["x-ratelimit-remaining"] != "0"

    def test_something_that_happens_meanwhile(self, world: GitHubWorld, demo: Hosted) -> None:
        path = opened(world, demo)
        head = demo.branches()["topic"]
        world.faults.add("PUT *", faults.meanwhile(lambda: demo.commit("topic", {"b": "2"})))
        refused = ask(world, "PUT", f"{path}/merge", {"sha": head})
        assert (refused.status, refused.message) == (
            409,
            "Head branch was modified. Review and try the merge again.",
        )


class TestEnd:
    def test_no_thread_is_left_while_clients_hang_on(self, tmp_path: Path) -> None:
        before = set(threading.enumerate())
        with GitHubWorld(tmp_path) as world:
            world.add_repository("acme/demo")
            idle = http.client.HTTPConnection(urlsplit(world.url).netloc)
            idle.request("GET", f"/api/v3{REPO}", headers={"User-Agent": "test"})
            idle.getresponse().read()
            world.faults.add("GET *", faults.slow(600))
            waiting = http.client.HTTPConnection(urlsplit(world.url).netloc)
            waiting.request("GET", f"/api/v3{REPO}", headers={"User-Agent": "test"})
            while world.faults.left:
                time.sleep(0)
        assert set(threading.enumerate()) == before
        for connection in (idle, waiting):
            connection.close()

    def test_what_breaks_in_it_is_told_at_its_end(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        def breaks() -> None:
            raise ZeroDivisionError

        world = GitHubWorld(tmp_path).__enter__()
        world.faults.add("GET *", faults.meanwhile(breaks))
        with pytest.raises(http.client.RemoteDisconnected):
            ask(world, "GET", "/user")
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            world.__exit__()
        assert capfd.readouterr() == ("", "")
