"""The graph of steps: faults are found and told, and the longest chain is the longest one."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from coditect.steps.graph import closure, count_followers, count_levels, find_faults, in_order, longest_chain

NAMES = "abcdef"
ANY_GRAPH = st.fixed_dictionaries({name: st.lists(st.sampled_from(NAMES), unique=True, max_size=3) for name in NAMES})


def test_a_circle_is_told_as_the_way_around_it_starting_with_the_first_step() -> None:
    faults = list(find_faults({"x": [], "a": ["b"], "b": ["c"], "c": ["a", "x"]}))
    assert [fault.text for fault in faults] == ["steps need each other in a circle: a -> b -> c -> a"]


def test_a_step_that_needs_itself_is_a_circle() -> None:
    assert [fault.text for fault in find_faults({"a": ["a"]})] == ["steps need each other in a circle: a -> a"]


def test_two_circles_are_both_told() -> None:
    faults = list(find_faults({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}))
    assert sorted(fault.text.partition(": ")[2] for fault in faults) == ["a -> b -> a", "c -> d -> c"]


def test_an_unknown_need_names_the_nearest_step() -> None:
    fault = next(find_faults({"build": [], "test": ["biuld"]}))
    assert fault.text == "step 'test' needs 'biuld', which is no step: did you mean 'build'?"


@settings(deadline=None)
@given(ANY_GRAPH)
def test_every_circle_that_is_told_is_one_and_without_its_needs_there_is_none(needs: dict[str, list[str]]) -> None:
    rest = {name: list(wanted) for name, wanted in needs.items()}
    for fault in find_faults(needs):
        way = fault.text.partition(": ")[2].split(" -> ")
        assert way[0] == way[-1]
        assert all(need in needs[step] for step, need in zip(way, way[1:]))
        rest[fault.step].remove(fault.need)
    order = in_order(rest)
    assert all(order.index(need) < order.index(step) for step in rest for need in rest[step])


@settings(deadline=None)
@given(ANY_GRAPH, st.lists(st.integers(0, 9), min_size=len(NAMES), max_size=len(NAMES)))
def test_the_longest_chain_is_what_trying_all_chains_gives(graph: dict[str, list[str]], numbers: list[int]) -> None:
    needs = {name: [need for need in wanted if need < name] for name, wanted in graph.items()}
    seconds = dict(zip(NAMES, map(float, numbers)))
    total, chain = longest_chain(needs, seconds)
    chains = [
        row for size in range(1, len(NAMES) + 1) for row in permutations(NAMES, size)
        if all(before in needs[after] for before, after in zip(row, row[1:]))
    ]  # fmt: skip
    assert tuple(chain) in chains
    assert total == sum(seconds[name] for name in chain) == max(sum(seconds[name] for name in row) for row in chains)


def test_no_steps_have_no_chain() -> None:
    assert longest_chain({}, {}) == (0.0, [])


def test_a_choice_draws_in_what_it_needs_and_nothing_else() -> None:
    assert closure({"a": [], "b": ["a"], "c": ["b"], "d": []}, ["b"]) == {"a", "b"}


def test_levels_count_what_stands_before_and_followers_what_waits_behind() -> None:
    needs = {"a": [], "b": ["a"], "c": ["a", "b"], "d": []}
    assert count_levels(needs) == {"a": 0, "b": 1, "c": 2, "d": 0}
    assert count_followers(needs) == {"a": 2, "b": 1, "c": 0, "d": 0}
