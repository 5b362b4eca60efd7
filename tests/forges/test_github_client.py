from __future__ import annotations

import base64
import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_pipeline.errors import ChecksError, ForgeError
from pytest_pipeline.forges.base import ChecksRule
from pytest_pipeline.forges.github.client import MOST_REFUSALS, Client
from tests.forges.github_scene import BASE, NAME, WORK, Scene, draft, scene_in
from tests.github_world import Check, faults


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with scene_in(tmp_path) as scene:
        yield scene


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_that_may_only_read_is_told_by_git_and_by_rest(scene: Scene) -> None:
    scene.push({"new": "1"})
    scene.token = scene.world.add_token(permission="read")
    forge = scene.another()
    with pytest.raises(ForgeError, match="may write the contents"):
        forge.ensure_base("other", scene.start, scene.work)
    with pytest.raises(ForgeError, match=r"did not open .*\(status 40[34].*\. .*token"):
        forge.ensure_pull_request(draft())
    assert scene.time.sleeps == []


def test_a_revoked_token_is_told_and_never_shown(scene: Scene) -> None:
    scene.push({"new": "1"})
    scene.world.revoke(scene.token)
    with pytest.raises(ForgeError, match=r"Bad credentials.*neither expired nor revoked") as by_rest:
        scene.forge.ensure_pull_request(draft())
    with pytest.raises(ForgeError, match="Use a token") as by_git:
        scene.forge.branch_head(BASE)
    for error in (by_rest.value, by_git.value):
        assert scene.token not in f"{error}{error!r}{error.__cause__}"


def test_the_client_keeps_its_token_to_itself(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client(NAME, scene.token, base_url=scene.world.url, gate=scene.gate)
    basic = base64.b64encode(f"x-access-token:{scene.token}".encode()).decode()
    echo = faults.status(422, f"You sent {scene.token} and {basic}")
    scene.world.faults.add("GET /repos/*", echo)
    answer = client.get("branches/main")
    assert (answer.status, answer.message) == (422, "You sent *** and ***")
    assert scene.token not in repr(client) + str(client) + repr(answer)
    assert scene.token not in caplog.text
    with pytest.raises(TypeError, match="never copied"):
        pickle.dumps(client)
    client.close()


def test_pygithub_prints_nothing_and_is_loaded_by_the_client_alone() -> None:
    program = (
        "import sys, logging, pytest_pipeline.plugin\n"
        "assert 'github' not in sys.modules\n"
        "from pytest_pipeline.forges.github.client import Client\n"
        "Client('o/n', 't', base_url='http://127.0.0.1:9', gate=None)\n"
        "logging.getLogger('github.Requester').warning('noise')\n"
        "assert not logging.getLogger('github').handlers\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


# --- the gate, pages and known answers --------------------------------------------------------------------------------


def test_every_call_goes_through_the_gate_by_its_kind(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    scene.forge.merge(opened, scene.request(opened))
    scene.forge.delete_branch(WORK, opened.head)
    assert [each for each in scene.gate.calls if each != "read"] == ["push", "content", "merge", "write"]
    told = [status for status, _ in scene.gate.told]
    assert told == [each.status for each in scene.world.requests if each.kind == "api"]


def test_the_gate_is_told_of_limits_and_the_client_gives_up_at_last(scene: Scene) -> None:
    scene.push({"new": "1"})
    scene.world.faults.add("POST /repos/*/pulls", faults.secondary(content=True), times=100)
    with pytest.raises(ForgeError, match=r"secondary rate limit.*fewer tasks"):
        scene.forge.ensure_pull_request(draft())
    limited = [message for status, message in scene.gate.told if status == 403]
    assert len(limited) == MOST_REFUSALS
    assert "secondary rate limit" in limited[0]


def test_what_has_not_changed_is_not_counted(scene: Scene) -> None:
    opened = scene.open({"new": "1"})
    for _ in range(3):
        assert scene.forge.find_pull_request(WORK) == opened
    states = [each.status for each in scene.world.requests if each.path.endswith(f"pulls/{opened.number}")]
    assert states[-2:] == [304, 304]
    scene.hosted.commit(WORK, {"more": "1"})
    changed = scene.forge.find_pull_request(WORK)
    assert changed is not None
    assert changed.head == scene.tip(WORK)


def test_lists_are_read_to_their_end(scene: Scene) -> None:
    scene.hosted.ci = [Check(f"check-{number:03}") for number in range(130)]
    opened = scene.open({"new": "1"})
    scene.hosted.set_check(opened.head, Check("zz-last", "failure"))
    with pytest.raises(ChecksError, match="zz-last ended as failure"):
        scene.another().wait_until_ready(opened, ChecksRule.ALL, 60.0)


def test_a_repository_that_was_renamed_is_told(scene: Scene) -> None:
    scene.push({"new": "1"})
    scene.world.rename(NAME, "octo/renamed")
    with pytest.raises(ForgeError, match="The repository has moved"):
        scene.forge.ensure_pull_request(draft())
