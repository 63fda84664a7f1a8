"""What a provider says of an error is kept, unless it may say the learner's words again."""

import base64
import json
from urllib.parse import quote

import pytest

from service.model.provider_errors import provider_error

TEXT = "My brother, Jos\u00e9, copied\nthis: 'from me'!"
RUSSIAN = "\u041c\u043e\u044f \u043c\u0430\u043c\u0430 \u0431\u043e\u043b\u044c\u043d\u0430"


@pytest.mark.parametrize("text", [TEXT, RUSSIAN])
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
        lambda text: "".join(f"&#{ord(letter)};" for letter in text),
        lambda text: "".join(f"\\u{{{ord(letter):x}}}" for letter in text),
    ],
)
def test_words_that_quote_the_learner_are_not_kept(text: str, quoted: object) -> None:
    assert callable(quoted)
    for before in ("", "cannot tokenize "):
        told = provider_error(400, {"message": f"{before}{quoted(text)} (type str)"})
        kept = told.words if told.words and not told.quotes([text]) else None
        assert kept in (None, "cannot tokenize"), told


@pytest.mark.parametrize("kind", [TEXT, RUSSIAN, "Motherhood", "my_mother_is_ill"])
def test_a_type_that_quotes_the_learner_is_not_kept(kind: str) -> None:
    told = provider_error(400, {"error": {"type": kind, "message": "no"}})
    assert told.kind is None or told.quotes([f"{kind.replace('_', ' ')}?"])


@pytest.mark.parametrize("text", ["", "?", "Where is the station?", "cannot, please, wait"])
def test_other_words_are_kept(text: str) -> None:
    told = provider_error(
        529, {"detail": "x", "message": "The cluster is full; wait 30 seconds. (a7)"}
    )
    assert told.words == "The cluster is full; wait 30 seconds."
    assert not told.quotes([text])
