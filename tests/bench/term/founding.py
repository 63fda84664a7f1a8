"""Makes an institution with its people and plans, and lets learners in hour by hour."""

import random
from itertools import accumulate

from service.model.prices import read_prices
from tests.bench.term.answers import Answers, outages
from tests.bench.term.evaluations import look_in
from tests.bench.term.institution import Institution, Life
from tests.bench.term.people import Course, Experience, Learner
from tests.bench.term.plan import DAY, HOUR, Share, Term, Window, hour_weights
from tests.bench.term.sessions import attend
from tests.bench.term.staff import erase, hold, keep_texts, teach

FIRST_LEARNER = 101
_TEACHERS = 99
_EVENTS_OF_A_LEARNER = 150
_EVENTS_OF_A_SITTING = 14.0


def found(term: Term, share: Share) -> Institution:
    """An institution on the first day, with all that is going to happen on its agenda."""
    chance = random.Random(f"{term.seed}/{share.account_id}")
    answers = Answers(chance, read_prices(), outages(term))
    house = Institution(term, share, answers, chance)
    house.learners = [
        Learner(FIRST_LEARNER + place, _TEACHERS + 1 + place, chance.lognormvariate(-0.2, 0.7))
        for place in range(_learners(share))
    ]
    for number in range(1, share.courses + 1):
        house.courses.append(_course(house, number))
    for course in chance.sample(house.courses, max(1, share.courses // 12)):
        course.keeps = max(2, term.days // 6)
    _plan_protection(house)
    house.begin(keep_texts(house))
    house.begin(_let_in(house))
    return house


def _learners(share: Share) -> int:
    """Learners of an institution; each is in about two courses."""
    return max(8, 2 * share.courses, share.events // _EVENTS_OF_A_LEARNER // 2)


def _course(house: Institution, number: int) -> Course:
    chance = house.chance
    size = max(4, 2 * len(house.learners) // house.share.courses)
    size = min(len(house.learners), round(size * chance.uniform(0.6, 1.4)))
    members = chance.sample(house.learners, size)
    if number == 1 and house.learners[0] not in members:
        members.append(house.learners[0])
    teacher = 1 + (number - 1) % _TEACHERS
    course = Course(number, teacher, teacher, members)
    places = chance.randrange(3, 7)
    length = house.term.days * DAY / places
    for place in range(places):
        opens = place * length * 0.85
        # Due on a Sunday or a Thursday, in the last minute of the day, where the term allows it.
        due = min((opens + length * 1.3) // DAY, house.term.days - 1) * DAY + DAY - 60
        window = Window(opens, due)
        made = Experience(len(house.experiences) + 1, course, house.words.scenario(), window)
        house.experiences.append(made)
        course.experiences.append(made)
        house.begin(teach(house, made, first=place == 0))
    house.begin(look_in(house, course), chance.uniform(0.5, 3) * DAY)
    return course


def _plan_protection(house: Institution) -> None:
    """Who will be put on hold, and who will be erased."""
    chance, days = house.chance, house.term.days
    number = len(house.learners)
    held, erased = max(2, number // 300), max(1, number // 80)
    # The diligent ones: of who never came there is nothing to keep or to erase.
    diligent = sorted(house.learners[1:], key=lambda learner: -learner.diligence)
    picked = chance.sample(diligent[: max(held + erased, number // 2)], held + erased)
    for place, learner in enumerate(picked[:held]):
        life = hold(house, learner, ends=place % 2 == 0)
        house.begin(life, chance.uniform(0.1, 0.5) * days * DAY)
    for learner in picked[held:]:
        learner.doomed = True
        house.begin(erase(house, learner), chance.uniform(0.4, 0.93) * days * DAY)


def _let_in(house: Institution) -> Life:
    """Lets learners begin, so many that the log has its size when the term is over."""
    chance, days = house.chance, house.term.days
    draws = [
        sum(x.window.interest(d * DAY + DAY / 2) for x in house.experiences) for d in range(days)
    ]
    weights = hour_weights(draws)
    left, owed = sum(weights), 0.0
    for hour, weight in enumerate(weights):
        if hour % 24 == 0:
            interests = list(accumulate(x.window.interest(hour * HOUR) for x in house.experiences))
        ended = house.sessions - house.running / 2
        size = (house.head + 20 * _EVENTS_OF_A_SITTING) / (ended + 20)
        to_come = house.share.events - house.head - house.running * size / 2
        owed += max(0.0, to_come / size * weight / left) * chance.uniform(0.7, 1.3)
        left -= weight
        for _ in range(int(owed)):
            _invite(house, interests, chance.random() * HOUR)
        owed -= int(owed)
        yield HOUR
    while True:  # fewer came than were expected: the last evening is a long one
        for _ in range(5):
            _invite(house, interests, chance.random() * 60)
        yield 60.0


def _invite(house: Institution, interests: list[float], after: float) -> None:
    experience = house.chance.choices(house.experiences, cum_weights=interests)[0]
    course = experience.course
    learner = house.chance.choices(course.learners, cum_weights=course.diligence)[0]
    house.begin(attend(house, learner, experience), after)
