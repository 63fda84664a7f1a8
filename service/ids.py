"""Ids in answers: numbers, or strings for clients that ask for these."""

import msgspec


class Id(int):
    """An id in an answer. Nothing else decides whether clients get a number or a string."""

    __slots__ = ()


def read_id(_kind: type, value: int) -> Id:
    """An id among the data that an answer is read from, for msgspec's `dec_hook`."""
    return Id(value)


def _string(value: Id) -> str:
    return str(int(value))


NUMBER_IDS = msgspec.json.Encoder(enc_hook=int)
STRING_IDS = msgspec.json.Encoder(enc_hook=_string)
