"""One thing that can be set; :mod:`~pytest_pipeline.options` lists them all."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_pipeline.values import Parse


@dataclass(frozen=True)
class Option:
    """One thing that can be set.

    Args:
        name: the field of :class:`Settings`; the ini key is ``pipeline_`` and this name.
        parse: checks a raw value.
        help: one line for ``--help`` and the README.
        flag: the command line option, or None where there is none.
        plan_key: the front-matter key, dotted inside a mapping (``limits.wall_time``); None: a plan may not set it.
        metavar: how the value is shown in ``--help``; "" for a switch.
        ini: whether the ini file may set it.
        sets: what the flag of a switch sets.
        bare: what the flag means without a value; "": it needs one.
    """

    name: str
    parse: Parse
    help: str
    flag: str | None = None
    plan_key: str | None = None
    metavar: str = ""
    ini: bool = True
    sets: bool = True
    bare: str = ""
