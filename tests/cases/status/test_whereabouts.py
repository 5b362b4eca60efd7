"""What each worker is at."""

from __future__ import annotations

from pytest_pipeline.cases.status.whereabouts import Post, Whereabouts


def test_a_worker_is_at_the_first_of_the_items_that_it_was_given() -> None:
    now = [1.0]
    seen = Whereabouts(lambda: now[0])
    seen.arrive("gw0")
    assert seen.posts() == [Post("gw0", "", 1.0, ())]
    now[0] = 2.0
    seen.begin("gw0", "a")
    now[0] = 3.0
    seen.begin("gw0", "b")
    assert seen.posts() == [Post("gw0", "a", 2.0, ("a", "b"))]


def test_time_runs_from_the_end_of_the_item_before() -> None:
    now = [10.0]
    seen = Whereabouts(lambda: now[0])
    seen.begin("gw0", "a")
    seen.begin("gw0", "b")
    now[0] = 15.0
    seen.end("gw0", "a")
    assert seen.posts() == [Post("gw0", "b", 15.0, ("a", "b"))]
    seen.end("gw0", "b")
    now[0] = 20.0
    seen.begin("gw0", "c")
    assert seen.posts() == [Post("gw0", "c", 20.0, ("a", "b", "c"))]


def test_they_stand_in_the_order_of_their_arrival_until_they_leave() -> None:
    seen = Whereabouts(lambda: 0.0)
    for worker in ("gw0", "gw1", "gw0"):
        seen.arrive(worker)
    assert [post.worker for post in seen.posts()] == ["gw0", "gw1"]
    seen.leave("gw0")
    seen.end("gw0", "lost")
    seen.leave("gw9")
    assert [post.worker for post in seen.posts()] == ["gw1"]
