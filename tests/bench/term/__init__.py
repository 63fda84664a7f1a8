"""A made-up term: what several institutions' logs hold after some weeks of teaching."""

from tests.bench.term.plan import Term
from tests.bench.term.writing import write_term

__all__ = ["Term", "write_term"]
