"""Costs of answers by a versioned table of prices."""

import re
import tomllib
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec

from eventstore.errors import PathUntrusted
from eventstore.reply_records import Usage
from eventstore.trusted_paths import read_trusted
from service.errors import SettingsError

CACHE_WRITE_FACTOR = Decimal("1.25")
CACHE_READ_FACTOR = Decimal("0.1")
DECIMAL_PLACES = 9
HIGHEST = 1_000_000
# More digits than the largest price and token count need, so that nothing is rounded before the
# sum.
_EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
_MODEL_DATE = re.compile(r"-\d{8}$")


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars per million tokens, which equal micro-dollars per token.

    Without prices of its own, the cache costs `CACHE_WRITE_FACTOR` and `CACHE_READ_FACTOR` times
    the input.
    """

    input: Decimal
    output: Decimal
    cache_write: Decimal | None = None
    cache_read: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("input", "output", "cache_write", "cache_read"):
            price: Decimal | None = getattr(self, name)
            if price is not None and not _is_price(price):
                raise ValueError(
                    f"{name} must be a decimal from 0 to {HIGHEST} "
                    f"with at most {DECIMAL_PLACES} decimal places"
                )

    def cost_microusd(self, usage: Usage) -> int:
        """The total in micro-dollars, rounded half up once."""
        write, read = self.cache_write, self.cache_read
        parts = (
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (
                usage.cache_creation_input_tokens,
                self.input * CACHE_WRITE_FACTOR if write is None else write,
            ),
            (
                usage.cache_read_input_tokens,
                self.input * CACHE_READ_FACTOR if read is None else read,
            ),
        )
        total = Decimal(0)
        for tokens, price in parts:
            total = _EXACT.fma(Decimal(tokens), price, total)
        return int(total.to_integral_value(context=_EXACT))


class LongPromptRates(Rates, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rates for a prompt of more than `above` tokens, including cached ones."""

    above: Annotated[int, msgspec.Meta(ge=0)]


class ModelRates(Rates, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rates of one model."""

    long_prompt: LongPromptRates | None = None

    def for_usage(self, usage: Usage) -> Rates:
        """The rates for a request of this size."""
        prompt = (
            usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens
        )
        if self.long_prompt is not None and prompt > self.long_prompt.above:
            return self.long_prompt
        return self


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """A price table. Its `version` is recorded with each cost; `models` is by model name."""

    version: str
    models: Mapping[str, ModelRates]

    def cost_microusd(self, model: str, usage: Usage | None) -> int | None:
        """Micro-dollars for `usage`, or None if the model's price or the usage is unknown.

        A model is looked up by its name, then by its name without the version's date.
        """
        rates = self.models.get(model) or self.models.get(_MODEL_DATE.sub("", model))
        if rates is None or usage is None:
            return None
        return rates.for_usage(usage).cost_microusd(usage)


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[str, msgspec.Meta(min_length=1)]
    models: dict[str, Any]


def read_prices(path: Path | None = None) -> Prices:
    """The built-in price table, or an operator's; raises `SettingsError` for an invalid file."""
    file = path or resources.files("service").joinpath("model", "prices.toml")
    try:
        return _read(read_trusted(path.absolute()) if path else file.read_bytes())
    except PathUntrusted as error:
        raise SettingsError(f"COLLOQUY_PRICES: {error}") from error
    except OSError as error:
        raise SettingsError(f"COLLOQUY_PRICES: {file}: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise SettingsError(f"COLLOQUY_PRICES: {file}: {error}") from error


def _read(content: bytes) -> Prices:
    tables = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    table = msgspec.convert(tables, _File)
    models = {name: _rates(name, rates) for name, rates in table.models.items()}
    return Prices(version=table.version, models=models)


def _rates(name: str, rates: Any) -> ModelRates:
    try:
        return msgspec.convert(rates, ModelRates)
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}") from error


def _is_price(value: Decimal) -> bool:
    if not value.is_finite() or not 0 <= value <= HIGHEST:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -DECIMAL_PLACES
