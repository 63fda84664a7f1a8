"""Any JSON value and any text, as servers on the network may send them."""

from typing import Any

from hypothesis import strategies as st

TEXT = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from('\0\ufffd\ufeff\u2028\u0085\u0301\u200d\n\r"\\\ud83c\udf0a\ud83c\udf0a'),
        st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"]),
    ),
    max_size=12,
)
"""With halves of characters, NULs, marks and what lines may be cut at."""

NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([0, -5, 7, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**400]),
    st.floats(),
    st.sampled_from([7.0, 7.5, -0.0, 1e-9, 1e300]),
)
"""With NaN and infinities, which Python's JSON has."""

SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
