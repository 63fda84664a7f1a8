from typing import get_args

import msgspec
import pytest

from eventstore.events import AnyEvent
from projections.definitions import Definition, definition, definitions
from projections.errors import UnknownProjection

NAMES = sorted(definitions())
TYPES = {str(kind.__struct_config__.tag) for kind in get_args(AnyEvent)}


def test_the_views_that_the_service_reads_and_that_analysts_read_are_there() -> None:
    modes = {known.name: known.mode for known in definitions().values()}
    inline = {"active_conversations", "conversations", "conversation_messages"}
    assert inline <= {name for name, mode in modes.items() if mode == "inline"}
    assert modes["turn_facts"] == "followed"


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_has_its_folders_name_a_description_and_something_to_do(name: str) -> None:
    known = definition(name)
    assert known.name == name
    assert known.description.endswith(".")
    assert known.version >= 1
    assert known.tables
    assert known.statements
    assert known.readers


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_consumes_the_types_that_its_statements_name_and_no_others(name: str) -> None:
    """Appends run a projection only for the types that it consumes."""
    known = definition(name)
    named = {kind for kind in TYPES if any(f"'{kind}'" in text for text in known.statements)}
    assert set(known.consumes) == named
    assert known.consumes


def test_an_unknown_projection_is_refused_with_the_known_names() -> None:
    with pytest.raises(UnknownProjection) as failure:
        definition("turn_fact")
    assert "there is no projection turn_fact;" in str(failure.value)
    assert all(name in str(failure.value) for name in NAMES)


@pytest.mark.parametrize(
    "change",
    [
        {"statements": ("SELECT 1;",)},
        {"definition": "CREATE TABLE other (a int);"},
        {"tables": ("other",)},
        {"consumes": ()},
        {"readers": ("colloquy_analyst",)},
        {"mode": "followed"},
        {"version": 99},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_changes_with_every_field(change: dict[str, object]) -> None:
    known = definition("conversations")
    changed: Definition = msgspec.structs.replace(known, **change)
    assert len(known.digest) == 32
    assert changed.digest != known.digest


def test_the_digest_of_the_same_files_is_the_same() -> None:
    assert definition("conversations").digest == definition("conversations").digest


def test_an_unknown_setting_is_refused() -> None:
    known = msgspec.to_builtins(definition("conversations"))
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert({**known, "colour": "blue"}, Definition)
