from __future__ import annotations

import contextlib
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.option import Option
from pytest_pipeline.options import BY_NAME, BY_PLAN_KEY, OPTIONS
from pytest_pipeline.settings import Settings, build

SCALARS = st.text() | st.integers() | st.floats() | st.none() | st.booleans()


def parsed(name: str, raw: object) -> object:
    return BY_NAME[name].parse(raw)


class TestOptions:
    def test_each_is_a_field_and_each_field_is_one(self) -> None:
        fields = {field.name for field in dataclasses.fields(Settings)} - {"explicit"}

        assert {option.name for option in OPTIONS} == fields
        assert len(OPTIONS) == len(fields)

    def test_flags_and_plan_keys_are_unique(self) -> None:
        flags = [option.flag for option in OPTIONS if option.flag]
        keys = [option.plan_key for option in OPTIONS if option.plan_key]

        assert len(set(flags)) == len(flags)
        assert len(set(keys)) == len(keys) == len(BY_PLAN_KEY)

    def test_every_default_passes_its_own_check(self) -> None:
        for option in OPTIONS:
            default = getattr(Settings(), option.name)
            if default is not None:
                assert option.parse(default) == default, option.name

    def test_what_happens_outside_the_repository_is_not_for_a_plan_to_set(self) -> None:
        for name in ("count", "forge", "repo", "agent_command", "state_dir", "store", "pass_environment", "author"):
            assert BY_NAME[name].plan_key is None, name


class TestValues:
    @pytest.mark.parametrize(("raw", "value"), [(1, 1), ("12", 12), (3.0, 3)])
    def test_whole_numbers(self, raw: object, value: int) -> None:
        assert parsed("count", raw) == value

    @pytest.mark.parametrize(
        "raw", [0, -1, "0", "1.5", 1.5, True, None, "ten", "", float("nan"), float("inf"), "1e999", []]
    )
    def test_what_is_no_whole_number_from_one_on(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be a whole number"):
            parsed("count", raw)

    @pytest.mark.parametrize(
        ("raw", "span"), [(2, "2"), ("2", "2"), (" 2 - 4 ", "2-4"), ("02-004", "2-4"), ("3-3", "3-3")]
    )
    def test_ranges(self, raw: object, span: str) -> None:
        assert parsed("batches", raw) == span

    @pytest.mark.parametrize("raw", ["4-2", "-2", "2-", "1,2", "a", "", True, None, "\u0661", "1" * 7])
    def test_what_is_no_range(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be a number or a range of numbers"):
            parsed("batches", raw)

    @pytest.mark.parametrize("raw", ["", "exec_", "exec_20260131-235959-a1b2c3d4e5f6\n", "../x", 1])
    def test_what_is_no_execution(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be the id of an execution"):
            parsed("execution", raw)

    @pytest.mark.parametrize(("raw", "value"), [("0.01", 0.01), (2, 2.0), ("2.5", 2.5)])
    def test_numbers(self, raw: object, value: float) -> None:
        assert parsed("budget_usd", raw) == value

    @pytest.mark.parametrize("raw", ["-1", "nan", "inf", True, "much"])
    def test_what_is_no_number_from_zero_on(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be a number"):
            parsed("budget_usd", raw)

    @pytest.mark.parametrize(
        ("raw", "seconds"), [(90, 90.0), ("90", 90.0), ("90s", 90.0), ("1.5 m", 90.0), ("1h", 3600.0), (0.5, 0.5)]
    )
    def test_durations(self, raw: object, seconds: float) -> None:
        assert parsed("wall_time", raw) == seconds

    @pytest.mark.parametrize("raw", ["0", "0s", "-1", "1d", "soon", "", True, None, "1 m 30 s", "9" * 400])
    def test_what_is_no_duration(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be a duration above zero"):
            parsed("wall_time", raw)

    @pytest.mark.parametrize(
        ("raw", "size"),
        [(500, 500), ("500", 500), ("500 kB", 500_000), ("5MiB", 5 * 1024**2), ("1 gib", 1024**3), ("7 B", 7)],
    )
    def test_sizes(self, raw: object, size: int) -> None:
        assert parsed("max_file_size", raw) == size

    @pytest.mark.parametrize("raw", ["0", "-1", "1.5 MB", "5 XB", "", True, None])
    def test_what_is_no_size(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be a size above zero"):
            parsed("max_file_size", raw)

    @pytest.mark.parametrize("raw", [True, "true", "Yes", " on ", "1"])
    def test_yes(self, raw: object) -> None:
        assert parsed("auto_merge", raw) is True

    @pytest.mark.parametrize("raw", [False, "false", "No", "off", "0"])
    def test_no(self, raw: object) -> None:
        assert parsed("auto_merge", raw) is False

    @pytest.mark.parametrize("raw", ["maybe", "", 2, None, []])
    def test_neither(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be true or false"):
            parsed("auto_merge", raw)

    @pytest.mark.parametrize("raw", ["A, B\nC", "A B,C", ["A", "B", "C"], ("A", "B", "C")])
    def test_names(self, raw: object) -> None:
        assert parsed("pass_environment", raw) == ("A", "B", "C")

    @pytest.mark.parametrize("raw", ["", " ", []])
    def test_no_names_at_all(self, raw: object) -> None:
        assert parsed("pass_environment", raw) == ()

    @pytest.mark.parametrize("raw", [1, None, [1], {"A": "B"}])
    def test_what_is_no_list_of_names(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be a list of names"):
            parsed("pass_environment", raw)

    @pytest.mark.parametrize("raw", ["", "  ", 7, None, ["a"]])
    def test_an_empty_text_is_none(self, raw: object) -> None:
        with pytest.raises(ValueError, match="must be a text that is not empty"):
            parsed("agent", raw)

    @given(st.sampled_from(OPTIONS), SCALARS | st.lists(SCALARS))
    def test_no_value_raises_anything_but_a_sentence(self, option: Option, raw: object) -> None:
        with contextlib.suppress(SettingsError):
            build({option.name: raw}, {})


class TestBuild:
    def test_without_anything_it_is_the_defaults(self) -> None:
        assert build({}, {}) == Settings()

    def test_the_command_line_is_above_the_ini_file(self) -> None:
        assert build({"agent": "command"}, {"agent": "reference", "scope": "strict"}) == Settings(
            agent="command", scope="strict", explicit=frozenset({"agent"})
        )

    def test_the_error_names_option_or_key_and_value(self) -> None:
        with pytest.raises(SettingsError, match=r"^--count must be a whole number of at least 1, not '0'\. Correct it"):
            build({"count": "0"}, {})
        with pytest.raises(SettingsError, match=r"^pipeline_scope must be one of warn, strict, not 'loose'\."):
            build({}, {"scope": "loose"})

    def test_more_consecutive_runs_than_runs_can_never_be(self) -> None:
        with pytest.raises(SettingsError, match=r"--until-consecutive 3 can never be met by --count 2\. Raise --count"):
            build({"count": "2", "until_consecutive": "3"}, {})


class TestWithPlan:
    def test_a_task_is_above_its_plan_and_both_above_the_ini_file(self) -> None:
        settings = build({}, {"scope": "warn", "model": "small"})

        changed = settings.with_plan({"scope": "strict", "model": "medium"}, {"model": "large"})

        assert (changed.scope, changed.model) == ("strict", "large")

    def test_neither_is_above_the_command_line(self) -> None:
        settings = build({"scope": "warn"}, {})

        assert settings.with_plan({"scope": "strict"}, {"scope": "strict"}) == settings


def test_settings_survive_the_way_to_a_worker() -> None:
    settings = build({"count": "3", "auto_merge": False}, {"pass_environment": "A B", "budget_usd": "1.5"})

    assert Settings.from_wire(json.loads(json.dumps(settings.to_wire()))) == settings
