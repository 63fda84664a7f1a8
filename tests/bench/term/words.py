"""What people and models say: sentences put together at random, about nobody."""

import random

from service.model.interface import Scenario

_SUBJECTS = (
    "the tide", "the axis of the Earth", "a fraction", "the witness", "the harbour", "supply",
    "the cell wall", "a hypothesis", "the narrator", "this equation", "the market", "the treaty",
    "the enzyme", "a control group", "the second law", "the chorus",
)  # fmt: skip
_VERBS = (
    "follows from", "depends on", "cannot explain", "is larger than", "contradicts", "describes",
    "changes with", "is caused by", "reminds me of", "needs",
)  # fmt: skip
_OBJECTS = (
    "the pull of the Moon", "what we measured", "the other half", "the price", "its own context",
    "the temperature", "the first example", "the sources that we have", "an assumption",
    "the number of trials", "the reader", "the border of 1815", "gravity",
)  # fmt: skip
_TITLES = (
    "Why the tide comes back", "Interview with a witness", "The baker's fractions",
    "A treaty is negotiated", "Supply, demand and a drought", "Inside the cell",
    "An unreliable narrator", "The second law at breakfast", "Designing a fair test",
    "Seasons, north and south",
)  # fmt: skip
_OBJECTIVES = (
    "Explain the cause in one's own words", "Predict what happens next", "Name an assumption",
    "Tell a fact from an opinion", "Compare two cases", "Find the counterexample",
    "Use the right unit", "Weigh two sources",
)  # fmt: skip


class Words:
    """Makes up texts; the same ones for the same chances."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sentences = [
            f"I think {chance.choice(_SUBJECTS)} {chance.choice(_VERBS)} {chance.choice(_OBJECTS)}."
            for _ in range(400)
        ]

    def say(self, sentences: float) -> str:
        """About so many sentences, now fewer, now many more."""
        number = max(1, round(self._chance.lognormvariate(0, 0.5) * sentences))
        return " ".join(self._chance.choices(self._sentences, k=min(number, 40)))

    def scenario(self) -> Scenario:
        """An experience with two to six objectives."""
        number = self._chance.choices((2, 3, 4, 5, 6), (4, 6, 5, 3, 1))[0]
        objectives = self._chance.sample(_OBJECTIVES, number)
        return Scenario(
            title=self._chance.choice(_TITLES),
            description=self.say(2),
            facts=self.say(4),
            objectives=tuple(objectives),
            pedagogical_guidance="Ask before you tell.",
        )
