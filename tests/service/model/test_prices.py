"""Costs of answers to the micro-dollar, and refused price tables."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.reply_records import Usage
from service.errors import SettingsError
from service.model.prices import ModelRates, Prices, read_prices

BUILT_IN = read_prices()
MILLION = 1_000_000


def priced(input_price: str, output_price: str) -> Prices:
    rates = ModelRates(input=Decimal(input_price), output=Decimal(output_price))
    return Prices(version="v", models={"a-model": rates})


def test_the_built_in_table_is_dated() -> None:
    assert BUILT_IN.version == "2026-11-22"


@pytest.mark.parametrize(
    ("model", "prices"),
    [
        ("claude-haiku-5-5", (100, 500, 125, 10)),
        ("claude-sonnet-5-5", (2000, 10_000, 2500, 100)),
        ("claude-opus-5-5", (4000, 20_000, 5000, 200)),
        ("claude-fable-5-2", (8000, 40_000, 10_000, 200)),
        ("claude-mythos-5-2", (8000, 40_000, 10_000, 200)),
        ("claude-opus-5", (5000, 25_000, 6250, 500)),
        ("claude-haiku-4-5", (1000, 5000, 1250, 100)),
        ("practice-tutor", (0, 0, 0, 0)),
    ],
)
def test_a_thousand_tokens_of_each_kind_cost_what_the_provider_publishes(
    model: str, prices: tuple[int, int, int, int]
) -> None:
    kinds = (Usage(1000), Usage(0, 1000), Usage(0, 0, 1000), Usage(0, 0, 0, 1000))
    costs = tuple(BUILT_IN.cost_microusd(model, usage) for usage in kinds)
    assert costs == prices


def test_all_kinds_of_tokens_are_added_up() -> None:
    usage = Usage(2000, 300, 4000, 50_000)
    assert BUILT_IN.cost_microusd("claude-haiku-5-5", usage) == 200 + 150 + 500 + 500


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(100_000, 1000), 10_500),
        (Usage(100_001, 1000), 52_501),
        (Usage(1, 1000, 50_000, 50_000), 1 + 2500 + 31_250 + 2500),
    ],
)
def test_a_long_prompt_costs_more_and_what_is_cached_belongs_to_it(usage: Usage, cost: int) -> None:
    assert BUILT_IN.cost_microusd("claude-haiku-5-5", usage) == cost


def test_a_model_is_found_without_the_date_of_its_version() -> None:
    dated = BUILT_IN.cost_microusd("claude-haiku-4-5-20251001", Usage(1000, 1000))
    assert dated == BUILT_IN.cost_microusd("claude-haiku-4-5", Usage(1000, 1000)) == 6000


def test_a_dated_version_with_a_price_of_its_own_has_that_price() -> None:
    cheap, dear = (ModelRates(input=Decimal(p), output=Decimal(p)) for p in (1, 2))
    prices = Prices(version="v", models={"a-model": cheap, "a-model-20260101": dear})
    assert prices.cost_microusd("a-model-20260101", Usage(1)) == 2
    assert prices.cost_microusd("a-model-20260202", Usage(1)) == 1


@pytest.mark.parametrize(
    "model",
    ["claude-haiku-9-9", "claude-haiku-5-5-2026", "claude-haiku-5-5-20261001-x", "claude", ""],
)
def test_an_unknown_model_has_no_price(model: str) -> None:
    assert BUILT_IN.cost_microusd(model, Usage(1000, 1000)) is None


def test_unknown_usage_has_no_price() -> None:
    assert BUILT_IN.cost_microusd("claude-haiku-5-5", None) is None


def test_halves_are_rounded_up_and_only_the_sum_is_rounded() -> None:
    prices = priced("0.5", "0.4")
    costs = [
        prices.cost_microusd("a-model", Usage(inputs, outputs))
        for inputs, outputs in [(1, 0), (0, 1), (1, 1), (3, 0), (1, 2)]
    ]
    assert costs == [1, 0, 1, 2, 1]


def test_the_cache_costs_the_usual_multiples_where_the_table_does_not_say() -> None:
    prices = priced("4", "20")
    assert prices.cost_microusd("a-model", Usage(0, 0, 1000)) == 5000
    assert prices.cost_microusd("a-model", Usage(0, 0, 0, 1000)) == 400


def test_big_numbers_are_exact() -> None:
    prices = priced("0.000000001", "999999.999999999")
    tokens = 10**24 + 1
    assert prices.cost_microusd("a-model", Usage(0, tokens)) == (
        999_999_999_999_999 * 10**15 + 1_000_000
    )
    assert prices.cost_microusd("a-model", Usage(10**24)) == 10**15
    odd = Usage(10**40 + 3)
    assert priced("1.5", "0").cost_microusd("a-model", odd) == 15 * 10**39 + 5


PRICE = st.decimals(0, 1000, places=6)
TOKENS = st.integers(0, 10**15)


@given(st.tuples(PRICE, PRICE, PRICE, PRICE), st.tuples(TOKENS, TOKENS, TOKENS, TOKENS))
def test_the_cost_is_the_exact_sum_to_half_a_micro_dollar(
    prices: tuple[Decimal, Decimal, Decimal, Decimal], tokens: tuple[int, int, int, int]
) -> None:
    rates = ModelRates(
        input=prices[0], output=prices[1], cache_write=prices[2], cache_read=prices[3]
    )
    exact = sum(Fraction(p) * t for p, t in zip(prices, tokens, strict=True))
    excess = rates.cost_microusd(Usage(*tokens)) - exact
    assert Fraction(-1, 2) < excess <= Fraction(1, 2)


def test_an_operator_may_set_another_table(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(
        'version = "gateway-3"\n'
        "[models.small]\ninput = 0.30\noutput = 1\n"
        '[models."llama:70b"]\ninput = "0"\noutput = "0"\n'
    )
    prices = read_prices(file)
    assert prices.version == "gateway-3"
    assert prices.cost_microusd("small", Usage(MILLION, MILLION)) == 1_300_000
    assert prices.cost_microusd("llama:70b", Usage(MILLION, MILLION)) == 0
    assert prices.cost_microusd("claude-haiku-5-5", Usage(1)) is None


RATES = '[models.a]\ninput = "1"\noutput = '
LONG = '{ above = -1, input = "2", output = "2" }'


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("version = ", "Invalid value"),
        ('version = "v"', "missing required field `models`"),
        ('[models.a]\ninput = "1"\noutput = "1"', "missing required field `version`"),
        ("version = 2026-11-22\n[models]", "Expected `str`, got `date`"),
        ('version = ""\n[models]', "length >= 1"),
        ('version = "v"\ncurrency = "EUR"\n[models]', "unknown field `currency`"),
        (f'version = "v"\n{RATES}"1"\nimages = "1"', "a: Object contains unknown field `images`"),
        ('version = "v"\n[models.a]\ninput = "1"', "a: Object missing required field `output`"),
        (f'version = "v"\n{RATES}"-1"', "a: output must be a decimal from 0 to 1000000"),
        (f'version = "v"\n{RATES}-0.5', "a: output must be a decimal"),
        (f'version = "v"\n{RATES}"nan"', "a: output must be a decimal"),
        (f'version = "v"\n{RATES}inf', "a: output must be a decimal"),
        (f'version = "v"\n{RATES}1e7', "a: output must be a decimal"),
        (f'version = "v"\n{RATES}"1e-999999"', "at most 9 decimal places"),
        (f'version = "v"\n{RATES}0.1000000000000000000001', "at most 9 decimal places"),
        (f'version = "v"\n{RATES}"cheap"', "a: Invalid decimal string"),
        (f'version = "v"\n{RATES}true', "a: Expected `decimal`, got `bool`"),
        ('version = "v"\n[models]\na = 3', "a: Expected `object`, got `int`"),
        (f'version = "v"\n{RATES}"1"\nlong_prompt = {LONG}', "a: Expected `int` >= 0"),
        ('version = "\\ud800"', "not a Unicode scalar value"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line_that_names_it(
    tmp_path: Path, content: str, complaint: str
) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        read_prices(file)
    message = str(caught.value)
    assert message.startswith(f"COLLOQUY_PRICES: {file}: ")
    assert complaint in message
    assert "\n" not in message


def test_a_table_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_bytes(b'version = "\xff"')
    with pytest.raises(SettingsError, match=r"prices\.toml: .*utf-8"):
        read_prices(file)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"COLLOQUY_PRICES: .*none\.toml: No such file"):
        read_prices(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="Is a directory"):
        read_prices(tmp_path)
