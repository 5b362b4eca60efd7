"""A process that lands one commit on GitHub, for tests that kill it: ``python -m tests.forges.landing_worker``.

Arguments: the API's address, the repository, the directory for objects, the commit to start from. The token comes from
the environment. Each process makes the same commit, so that what another one did is found and taken for its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pytest_pipeline.forges.base import ChecksRule, Draft, MergeRequest
from pytest_pipeline.forges.gate import gate_directory, token_id
from pytest_pipeline.forges.gate_limits import limits_of
from pytest_pipeline.forges.gate_opening import open_gate
from pytest_pipeline.forges.github.address import Address
from pytest_pipeline.forges.github.connection import Connection
from pytest_pipeline.forges.github.token import find_token
from pytest_pipeline.host.git import Repository

BASE = "pipeline/s/run-01/base"
WORK = "pipeline/s/run-01/plans.p/batch-1-task-1-1"
MESSAGE = "Add a.txt\n\nPipeline-Task: plans/p.md::1::1.1\n"
_WHO = "Ada Example <ada@example.org> 1700000000 +0000"


def made(store: Repository, start: str) -> str:
    """The commit, always the same."""
    blob = store.run("hash-object", "-w", "--stdin", stdin=b"made\n").stdout.decode().strip()
    tree = store.run("mktree", stdin=f"100644 blob {blob}\ta.txt\n".encode()).stdout.decode().strip()
    return store.commit_tree(tree, [start], MESSAGE, author=_WHO)


def main(api: str, repository: str, scratch: Path, start: str) -> None:
    """Everything from the base to the end of the branch."""
    address = Address.parse(repository, api_url=api)
    token = find_token(os.environ, address.host)
    name = token_id(address.api_url, token.reveal())
    gate = open_gate(None, gate_directory(os.environ), name, limits_of("off"), None, repository=repository)
    connection = Connection.open(address, token, gate)
    store = Repository.create(scratch)
    connection.remote(store).bring(start)
    head = made(store, start)
    forge = connection.forge(store)
    forge.ensure_base(BASE, start, store)
    forge.push(WORK, head, store)
    opened = forge.ensure_pull_request(Draft(WORK, BASE, "Add a.txt", "Body"))
    ready = forge.wait_until_ready(opened, ChecksRule.REQUIRED, 60.0)
    forge.merge(ready, MergeRequest("squash", head, start, MESSAGE))
    forge.delete_branch(WORK, head)
    connection.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
