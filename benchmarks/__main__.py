"""All benchmarks, or those that are named: ``python -m benchmarks [NAME ...] [--rounds N]``."""

from __future__ import annotations

import argparse

from benchmarks import collection, driver, github, idle, overhead, parallel, scheduling, server, soak

BENCHMARKS = {
    "idle": idle.main,
    "collection": collection.main,
    "overhead": overhead.main,
    "driver": driver.main,
    "github": github.main,
    "scheduling": scheduling.main,
    "parallel": parallel.main,
    "server": server.main,
    "soak": soak.main,
}


def main() -> None:
    """Run them, one after the other; further options are handed on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all)")
    options, rest = parser.parse_known_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    for name in options.names or BENCHMARKS:
        BENCHMARKS[name](rest)


if __name__ == "__main__":
    main()
