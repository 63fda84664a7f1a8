"""Only those words of a provider's error are kept that cannot quote a learner."""

import base64
import json
from urllib.parse import quote

import pytest

from service.model.provider_errors import provider_error

TEXTS = (
    "My brother, Jos\u00e9, copied\nthis: 'from me'!",
    "\u041c\u043e\u044f \u043c\u0430\u043c\u0430 \u0431\u043e\u043b\u044c\u043d\u0430",
    "My name is Anna Schmidt and I am ill",
    "Anna",
    "4711",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    "quoted",
    [
        str,
        str.upper,
        json.dumps,
        ascii,
        quote,
        lambda text: quote(quote(text)),
        lambda text: repr(text.encode()),
        lambda text: text.encode().decode("latin-1"),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: text.encode().hex(),
        lambda text: str(text.split()),
        lambda text: text.split()[-1],
        lambda text: "".join(f"&#{ord(letter)};" for letter in text),
        lambda text: text[::-1],
    ],
)
def test_words_that_quote_the_learner_are_not_kept(text: str, quoted: object) -> None:
    assert callable(quoted)
    error = provider_error(400, {"message": f"Cannot process input: {quoted(text)} (type str)"})
    assert error.words in ("Cannot process input:", "Cannot process input: is", None), error
    assert provider_error(400, quoted(text)).words is None


@pytest.mark.parametrize("kind", [*TEXTS, "Motherhood", "my_mother_is_ill", "Schmidt", "x" * 99])
def test_a_type_that_may_quote_the_learner_is_not_kept(kind: str) -> None:
    assert provider_error(400, {"error": {"type": kind, "message": "no"}}).kind is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("exceed_context_size_error", "Context size has been exceeded"),
        ("BadRequestError", "The request is too large for this model;"),
        ("server_error", "Failed to load the model from cache: timed out."),
    ],
)
def test_common_error_messages_are_kept(kind: str, words: str) -> None:
    error = provider_error(529, {"type": kind, "message": f"{words} (7a3f at /srv/x)"})
    assert (error.kind, error.words) == (kind, words)
