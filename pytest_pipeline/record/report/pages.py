"""Pages from templates. Everything that is shown is a text, whoever wrote it: nothing of it becomes markup."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pytest_pipeline import __version__
from pytest_pipeline.record import summary
from pytest_pipeline.record.costs import shown
from pytest_pipeline.record.junit import clean
from pytest_pipeline.record.report.details import Detail
from pytest_pipeline.record.report.picture import Picture
from pytest_pipeline.record.report.plots import Plot, plot
from pytest_pipeline.record.standing import Standing

_PLACE = Path(__file__).parent / "templates"


def style() -> str:
    """The style sheet of every page."""
    return _read("page.css")


def script() -> str:
    """The script of every page: it moves through the matrix by keys, and keeps a page up to date."""
    return _read("page.js")


def report(picture: Picture, details: Iterable[Detail], left_out: str) -> str:
    """A session as one file that needs nothing else.

    Args:
        picture: the session.
        details: its task runs.
        left_out: what is not in the file, as a sentence; or an empty text.
    """
    own = {"style": Markup(style()), "script": Markup(script())}
    policy = (
        f"default-src 'none'; style-src '{_hashed(style())}'; script-src '{_hashed(script())}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return _render(
        "report.html",
        picture=picture,
        details=list(details),
        plots=plots(picture),
        left_out=left_out,
        policy=policy,
        **own,
    )


def session_page(picture: Picture) -> str:
    """A session in a browser that watches it."""
    return _render("session.html", picture=picture, plots=plots(picture))


def overview(picture: Picture) -> str:
    """The part of that page that changes."""
    return _render("overview.html", picture=picture, plots=plots(picture), linked=True)


def task_page(picture: Picture, detail: Detail) -> str:
    """One task run."""
    return _render("task.html", picture=picture, detail=detail)


def sessions_page(standings: Sequence[Standing], now: datetime, more: str) -> str:
    """The list of sessions.

    Args:
        standings: the sessions, the latest first.
        now: the time.
        more: address of the page with older ones; empty: there are none.
    """
    return _render("sessions.html", standings=standings, now=now, more=more)


def login_page(wrong: bool, to: str) -> str:
    """Where a person gives the token.

    Args:
        wrong: what was given before was not the one.
        to: the page that was asked for.
    """
    return _render("login.html", wrong=wrong, to=to)


def message_page(title: str, text: str) -> str:
    """A page that only says something."""
    return _render("message.html", title=title, text=text)


def plots(picture: Picture) -> list[Plot]:
    """Duration and cost of each run, where they are known."""
    times = [
        (run.number, run.state, run.seconds, duration(run.seconds)) for run in picture.runs if run.seconds is not None
    ]
    costs = [(run.number, run.state, float(run.cost), money(run.cost)) for run in picture.runs if run.cost is not None]
    made = (plot("Duration of each run", times), plot("Cost of each run in US dollars", costs))
    return [each for each in made if each is not None]


def duration(seconds: float | None) -> str:
    """A time for people; nothing where it is not known."""
    return "" if seconds is None else summary.duration(seconds)


def money(amount: Decimal | None) -> str:
    """US dollars for people."""
    return "unknown" if amount is None else f"{shown(amount)} USD"


def when(at: datetime | None) -> str:
    """A point in time for people, in UTC."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _hashed(text: str) -> str:
    """What a content security policy names an inline block by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _read(name: str) -> str:
    return (_PLACE / name).read_text("utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("pytest_pipeline.record.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(duration=duration, money=money, when=when, clean=clean)
    made.globals["version"] = __version__
    return made


def _render(name: str, **values: object) -> str:
    return _environment().get_template(name).render(values)
