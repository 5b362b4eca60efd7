"""The front door: options and the few hooks that must be there before anything is known to be a plan.

Loaded by every pytest run of its user, so it imports nothing but pytest and a few small modules. The rest of the house
is imported when the first plan is met.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import hookspecs, naming
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.options import OPTIONS
from pytest_pipeline.settings import Settings, build

if TYPE_CHECKING:
    from pytest_pipeline.cases.collect import PlanFile

SETTINGS = pytest.StashKey[Settings]()
PASSED_OVER = pytest.StashKey[list[Path]]()
LATE_GIVEN = pytest.StashKey[frozenset[str]]()
LATE = ("count", "repeat_scope")
"""Options that pytest-repeat has too: registered after all plugins are there, and only where it has not."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hooks of a user's conftest known."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command line options and ini keys, all but the late ones."""
    group = parser.getgroup("pipeline", "pipeline: Markdown plans as tests")
    for option in OPTIONS:
        if option.flag and option.name not in LATE:
            if option.metavar:
                bare = {"nargs": "?", "const": option.bare} if option.bare else {}
                group.addoption(
                    option.flag, dest=option.name, metavar=option.metavar, default=None, help=option.help, **bare
                )
            else:
                action = "store_true" if option.sets else "store_false"
                group.addoption(option.flag, dest=option.name, action=action, default=None, help=option.help)
        if option.ini:
            parser.addini(f"pipeline_{option.name}", option.help, default=None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, None, None]:
    """Add ``--count`` and ``--repeat-scope`` where nobody else has; two plugins with one option end pytest.

    At last, because a conftest may have options of its own, or load pytest-repeat.
    """
    early_config.stash[LATE_GIVEN] = frozenset(arg.partition("=")[0] for arg in args)
    try:
        return (yield)
    finally:
        for option in OPTIONS:
            if option.flag and option.name in LATE:
                with contextlib.suppress(ValueError):  # somebody has it; its value serves us
                    # in no group, like pytest-repeat's: pytest 8.4 looks for a double only within one group
                    parser.addoption(
                        option.flag, dest=option.name, metavar=option.metavar, default=None, help=option.help
                    )


def pytest_configure(config: pytest.Config) -> None:
    """Build the settings once."""
    config.stash[PASSED_OVER] = []
    settings = config.stash[SETTINGS] = settings_of(config)
    if settings.resume is not None:
        from pytest_pipeline.cases.recalling import recalled

        config.stash[SETTINGS] = recalled(config, settings)
    if hasattr(config, "workerinput"):
        _be_a_worker(config)
    else:
        _control_workers(config)


def settings_of(config: pytest.Config) -> Settings:
    """What command line and ini file say, before any plan is read.

    Args:
        config: pytest's configuration; it need not be configured.

    Raises:
        pytest.UsageError: a value cannot be used.
    """
    given = {option.name: config.getoption(option.name, None) for option in OPTIONS if option.flag}
    typed = config.stash.get(LATE_GIVEN, frozenset())
    for option in OPTIONS:
        if option.name in LATE and option.flag not in typed:
            given.pop(option.name, None)  # the default of pytest-repeat, which may be another one than ours
    ini = {option.name: config.getini(f"pipeline_{option.name}") for option in OPTIONS if option.ini}
    try:
        settings = build(
            {name: value for name, value in given.items() if value is not None},
            {name: value for name, value in ini.items() if value is not None},
        )
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None
    return settings.typed_in(config.invocation_params.dir)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> PlanFile | None:
    """Collect Markdown plans where they are asked for; count them where they are not."""
    if file_path.suffix.lower() != ".md":
        return None
    config = parent.config
    how = naming.how_named(config, file_path)
    if how is naming.Named.NOT and config.stash[SETTINGS].collect != "always":
        if naming.is_searched(config, file_path) and naming.resembles_plan(file_path):
            config.stash[PASSED_OVER].append(file_path)
        return None
    from pytest_pipeline.cases.collect import collect_plan

    return collect_plan(parent, file_path, config.stash[SETTINGS], explicit=how is naming.Named.FILE)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say how many plans were passed over, and how to run them."""
    count = len(config.stash[PASSED_OVER])
    if not count:
        return []
    first = config.stash[PASSED_OVER][0]
    shown = first.relative_to(config.rootpath) if first.is_relative_to(config.rootpath) else first
    files = "1 Markdown file that looks like a plan" if count == 1 else f"{count} Markdown files that look like plans"
    return [f"pipeline: passed over {files}; name a file or its directory to run it: pytest {shown}"]


def _be_a_worker(config: pytest.Config) -> None:
    """Where a controller asks for it: wait between items where nothing is torn down too early."""
    if "pipeline_parking" in config.workerinput:  # type: ignore[attr-defined] # xdist puts it there
        from pytest_pipeline.cases.parallel.parking import park_where_told

        park_where_told(config)


def _control_workers(config: pytest.Config) -> None:
    """Where xdist distributes items: let us order those of plans, and open the session for all workers."""
    if config.getoption("dist", "no") == "no" or not config.getoption("tx", None) or naming.only_looks(config):
        return
    settings = config.stash[SETTINGS]
    first = naming.first_plan(config, everywhere=settings.collect == "always", is_plan=_is_plan)
    if first is not None:
        from pytest_pipeline.cases.parallel.controlling import Controller

        Controller(config, settings, first).register()


def _is_plan(path: Path) -> bool:
    from pytest_pipeline.plans.reader import is_plan

    return is_plan(path)
