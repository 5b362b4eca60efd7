"""What it is to be watched: 200 clients ask for the status and listen to events while four executions run.

The server is `python -m pytest_pipeline serve` in a process of its own, the clients are one process with asyncio and
httpx. Each client asks for a status every second and listens to the events of the same execution. Told are the times
of a status, with nobody else there (idle) and among all (loaded), and how old events are when they arrive.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import httpx

from benchmarks.measuring import arguments, environment, table, workshop

API = "/api/v1/autonomous"
_PLUGINS = ("-p", "pytest_pipeline.plugin", "-p", "no:cacheprovider")


@dataclass
class Seen:
    """What the clients saw: seconds that a status took, and ages of events in seconds."""

    statuses: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    refused: int = 0


def plan(tasks: int) -> str:
    """A plan of one batch; each task creates a file after half a second."""
    each = (
        f"### Task 1.{number}: Make {number}\n\n**Files:**\n- Create: `made/{number}.txt`\n\n"
        f"**Reference:**\n```sh\nsleep 0.5; mkdir -p made; echo x > made/{number}.txt\n```\n\n"
        for number in range(1, tasks + 1)
    )
    return "## Batch 1: Many\n\n" + "".join(each)


@contextmanager
def served(place: Path, plans: int, tasks: int) -> Iterator[tuple[str, int, dict[str, str]]]:
    """A server with that many plans; its address, its process, and the headers of a request."""
    (place / "plans").mkdir()
    (place / "pytest.ini").write_text("[pytest]\n", "utf-8")
    for number in range(plans):
        (place / "plans" / f"{number}.md").write_text(plan(tasks), "utf-8")
    command = (sys.executable, "-m", "pytest_pipeline", "serve", "--port", "0", "--agent", "reference", *_PLUGINS)
    process = subprocess.Popen(
        command, cwd=place, env=environment({"TMPDIR": str(place)}), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("Ctrl-C"):
                break
        address, token = re.search(r"http://\S+\d", printed), re.search(r"kept nowhere: (\S+)", printed)
        if address is None or token is None:
            raise SystemExit(f"the server did not start:\n{printed}")
        yield address[0], process.pid, {"Authorization": f"Bearer {token[1]}"}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used, as Linux tells it."""
    fields = Path("/proc", str(pid), "stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def status(client: httpx.AsyncClient, execution: str, seen: Seen) -> str:
    """Ask once; the status."""
    since = time.perf_counter()
    answer = await client.get(f"{API}/{execution}/status")
    seen.statuses.append(time.perf_counter() - since)
    if answer.status_code != 200:
        seen.refused += 1
        return ""
    return str(answer.json()["status"])


async def listen(client: httpx.AsyncClient, execution: str, seen: Seen) -> None:
    """Listen to the end, and note how old what is told is."""
    async with client.stream("GET", f"{API}/{execution}/events") as answer:
        kind, since = "", datetime.now(timezone.utc)
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "step":
                at = datetime.fromisoformat(json.loads(line.removeprefix("data: "))["at"])
                if at > since:  # what was before is old for another reason
                    seen.ages.append((datetime.now(timezone.utc) - at).total_seconds())


async def watch(client: httpx.AsyncClient, execution: str, delay: float, seen: Seen) -> None:
    """One client: listens, and asks every second until the execution has ended."""
    await asyncio.sleep(delay)
    listening = asyncio.create_task(listen(client, execution, seen))
    while await status(client, execution, seen) in ("", "started", "executing"):
        await asyncio.sleep(1)
    await listening


async def measure(address: str, headers: dict[str, str], clients: int, plans: int) -> tuple[Seen, Seen]:
    """All at once with what runs, then alone with what has ended."""
    async with AsyncExitStack() as stack:
        # One pool for each client, as each would have: a pool that all share takes most of the time itself.
        each = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=address, headers=headers, timeout=120, verify=False, trust_env=False)
            )
            for _ in range(clients)
        ]
        for client in each:  # connected before anything is measured
            await client.get("/health")
        started = [
            (await each[0].post(f"{API}/start", json={"plan_path": f"plans/{number}.md"})).json()["execution_id"]
            for number in range(plans)
        ]
        loaded, idle = Seen(), Seen()
        watchers = (
            watch(client, started[number % plans], number / clients, loaded) for number, client in enumerate(each)
        )
        await asyncio.gather(*watchers)
        for _ in range(100):
            await status(each[0], started[0], idle)
            await asyncio.sleep(0.02)
    return idle, loaded


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("--clients", type=int, default=200, help="clients (default: %(default)s)")
    parser.add_argument("--executions", type=int, default=4, help="executions (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=12, help="tasks of each of them (default: %(default)s)")
    options = parser.parse_args(words)
    for _ in range(options.rounds):
        with (
            workshop(options.where) as place,
            served(place, options.executions, options.tasks) as (address, pid, headers),
        ):
            server, clients = processor(pid), time.process_time()
            idle, loaded = asyncio.run(measure(address, headers, options.clients, options.executions))
            server, clients = processor(pid) - server, time.process_time() - clients
        samples = {"status, idle": idle.statuses, "status, loaded": loaded.statuses, "events": loaded.ages}
        rows = [_row(what, values) for what, values in samples.items()]
        table(f"{options.clients} clients, {options.executions} executions", ["what", "n", "median", "p99"], rows)
        ratio = statistics.median(loaded.statuses) / statistics.median(idle.statuses)
        print(
            f"loaded to idle: {ratio:.1f}; refused: {loaded.refused}; "
            f"processor: server {server:.1f} s, clients {clients:.1f} s"
        )


def _row(what: str, values: Sequence[float]) -> list[str]:
    last = statistics.quantiles(values, n=100)[98] if len(values) > 1 else values[0]
    return [what, str(len(values)), f"{statistics.median(values) * 1000:.1f} ms", f"{last * 1000:.1f} ms"]


if __name__ == "__main__":
    main()
