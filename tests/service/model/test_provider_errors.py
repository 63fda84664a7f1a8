"""What a provider says of an error is kept, unless it says the learner's words again."""

import json
from urllib.parse import quote

import pytest

from service.model.provider_errors import provider_error

TEXT = "My brother, Jos\u00e9, copied\nthis: 'from me'!"


@pytest.mark.parametrize(
    "said",
    [
        TEXT,
        TEXT.upper(),
        json.dumps(TEXT),
        repr(TEXT.encode()),
        ascii(TEXT),
        quote(TEXT),
        TEXT.replace("'", "&#39;"),
        TEXT.replace("\n", " "),
        f"no {TEXT[3:20]}\u2026",
    ],
)
def test_words_that_quote_the_learner_are_known_as_such(said: str) -> None:
    told = provider_error(400, {"message": f"cannot tokenize {said} (type str)"})
    assert told.quotes(["Another text.", TEXT])


@pytest.mark.parametrize("text", ["", "?", "Where is the station?", "cannot, please, wait"])
def test_other_words_are_kept(text: str) -> None:
    told = provider_error(529, {"detail": "x", "message": "The cluster is full; wait a moment."})
    assert not told.quotes([text])
