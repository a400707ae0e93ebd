"""Names in lists: numbers within them count by their value."""

from hypothesis import given
from hypothesis import strategies as st

from al_bench.text.natural import natural


def test_numbers_within_names_are_ordered_by_value():
    names = [
        "bald",
        "power(β=0.5)",
        "power(β=1e-1)",
        "power(β=2)",
        "power(β=16)",
        "steps · batch_size=64",
        "steps · batch_size=128",
        "wrn28_10",
    ]
    assert sorted(reversed(names), key=natural) == [names[0], names[2], names[1], *names[3:]]


@given(st.lists(st.text() | st.from_regex(r"[a-c]?[0-9.e+-]{0,4}[a-c]?"), max_size=6))
def test_any_names_can_be_ordered_and_whatever_their_first_order_it_is_the_same(names):
    assert sorted(names, key=natural) == sorted(reversed(names), key=natural)
