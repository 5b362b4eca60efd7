"""How often somebody may ask."""

from __future__ import annotations

from pytest_pipeline.server.limits import Buckets, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    clock = Clock()
    buckets = Buckets(Rate(2, 3), clock=clock)
    for _ in range(3):
        assert buckets.wait("a") == 0
        buckets.spend("a")
    assert buckets.wait("a") == 0.5
    clock.now += 0.5
    assert buckets.wait("a") == 0
    buckets.spend("a")
    assert buckets.wait("a") == 0.5


def test_rest_fills_a_bucket_to_the_brim_and_no_further() -> None:
    clock = Clock()
    buckets = Buckets(Rate(1, 2), clock=clock)
    buckets.spend("a")
    clock.now += 1000
    buckets.spend("a")
    buckets.spend("a")
    assert buckets.wait("a") == 1


def test_addresses_do_not_share() -> None:
    buckets = Buckets(Rate(1, 1), clock=Clock())
    buckets.spend("a")
    assert buckets.wait("a") == 1
    assert buckets.wait("b") == 0


def test_whoever_was_silent_longest_is_forgotten_first() -> None:
    buckets = Buckets(Rate(1, 1), most=2, clock=Clock())
    for address in ("a", "b", "a", "c"):
        buckets.spend(address)
    assert [buckets.wait(address) > 0 for address in ("a", "b", "c")] == [True, False, True]
