"""Layers by what they stand on."""

from __future__ import annotations

from builder.core.chains import chain_ids, count_common, find_left_out


def test_a_chain_id_is_that_of_the_specification() -> None:
    # Of an image of Docker Engine 20.10.24, as its folder layerdb/sha256 names them.
    layers = (
        "sha256:356ee4303da52e23ece5791707d5ebed24f3a2a3fa7b72fc0a507ba30ef82906",
        "sha256:e210b94177fa6334af7d6e7577e8d7228df0e7d58c7fb56fb477066d4dec24ee",
    )
    assert chain_ids(layers) == (layers[0], "sha256:26754d2ff636b5f36928046d0e858997e466538429224124cee3e652c9421341")
    assert chain_ids(()) == ()


def test_only_what_is_below_the_first_difference_is_common() -> None:
    assert count_common("abc", "abx") == count_common("ab", "abc") == count_common("abc", "ab") == 2
    assert count_common("abc", "xbc") == count_common("", "abc") == 0
    assert count_common("abc", "abc") == 3


def test_a_layer_that_comes_again_further_up_is_not_left_out() -> None:
    assert find_left_out("abcd", 3) == {0, 1, 2}
    assert find_left_out("abcb", 3) == {0, 2}
    assert find_left_out("abab", 4) == {0, 1, 2, 3}
    assert find_left_out("abc", 0) == frozenset()
