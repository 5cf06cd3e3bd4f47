"""What differs between two images, and what counts as another workstation."""

from __future__ import annotations

from dataclasses import replace

from builder.core.generations import Generation, History, Hold, add_generation, is_same
from builder.core.labels import LABEL_PLAN, LABEL_SPEC
from builder.core.packages import Package
from builder.core.plan import explain_labels
from builder.core.updates import Change, find_changes
from tests.unit.core.test_service import spec_of

GENERATION = Generation(spec=spec_of(), image="sha256:a", made="2026-11-25T19:00:00+00:00")


def deb(name: str, version: str, kind: str = "deb") -> Package:
    return Package(kind=kind, name=name, version=version, purl=f"{kind}/{name}@{version}")


def test_packages_of_two_images_are_compared_by_kind_and_name_with_all_their_versions() -> None:
    before = [deb("a", "1"), deb("b", "1"), deb("gone", "3"), deb("n", "1", "npm"), deb("n", "2", "npm")]
    after = [deb("a", "1"), deb("b", "2"), deb("n", "2", "npm"), deb("a", "7", "pypi")]
    assert [str(change) for change in find_changes(before, after)] == [
        "b 1 -> 2", "gone 3 is gone", "n (npm) 1, 2 -> 2", "a (Python) 7 is new",
    ]  # fmt: skip
    assert find_changes(before, before) == ()


def test_the_way_back_is_told_the_other_way_round() -> None:
    assert str(Change(kind="deb", name="b", before="1", after="2").turned()) == "b 2 -> 1"
    assert str(Change(kind="deb", name="b", after="2").turned()) == "b 2 is gone"


def test_two_images_differ_by_their_steps() -> None:
    before = {"apt": ["1", "44 packages"], "node": ["2", "node 18"], "gone": ["3", "x"], "same": ["4", "y"]}
    after = {"apt": ["9", "44 packages"], "node": ["8", "node 20"], "new": ["7", "z"], "same": ["4", "y"]}
    assert explain_labels(before, after) == (
        "new is new: z", "gone is gone: x", "apt is that of then: 44 packages", "node: node 18 -> node 20",
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------- generations


def test_ports_and_labels_make_no_other_workstation() -> None:
    spec = GENERATION.spec
    moved = replace(
        spec,
        ports=tuple(replace(port, host=port.host + 1) for port in spec.ports),
        labels={**spec.labels, LABEL_SPEC: "other"},
    )
    assert is_same(GENERATION, replace(GENERATION, spec=moved, made="later"))


def test_another_image_plan_or_setting_makes_another_workstation() -> None:
    spec = GENERATION.spec
    assert not is_same(GENERATION, replace(GENERATION, image="sha256:b"))
    assert not is_same(GENERATION, replace(GENERATION, spec=replace(spec, environment={"A": "1"})))
    assert not is_same(GENERATION, replace(GENERATION, spec=replace(spec, labels={**spec.labels, LABEL_PLAN: "p"})))


def test_what_was_replaced_can_be_gone_back_to_and_the_one_before_that_is_dropped() -> None:
    history = History()
    for image in "abc":
        history = add_generation(history, replace(GENERATION, image=image))
    assert (history.current and history.current.image, history.previous and history.previous.image) == ("c", "b")
    assert history.older == ("a",)


def test_an_image_that_is_used_again_is_not_dropped() -> None:
    history = History()
    for image in "abab":
        history = add_generation(history, replace(GENERATION, image=image))
    assert history.older == ()


def test_the_same_again_keeps_the_way_back() -> None:
    changes = (Change(kind="deb", name="b", before="1", after="2"),)
    first = add_generation(add_generation(History(), GENERATION), replace(GENERATION, image="b", changes=changes))
    hold = Hold(config="c", plan="p")
    again = add_generation(first, replace(GENERATION, image="b", made="later"), hold=hold)
    assert again.previous == first.previous
    assert again.current == replace(GENERATION, image="b", made="later", changes=changes)
    assert again.hold == hold
