"""Lists page by page: what the links say, and what a page costs."""

import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from itertools import chain
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from eventstore.connections import Connection
from tests.databases import cloned_database
from tests.running import TEACHER, Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPERIENCES = "/api/v1/courses/1/ai_experiences"
STUDENTS = f"{EXPERIENCES}/1/ai_conversations"
LISTS = (EXPERIENCES, STUDENTS)
DRAFT = {"title": "x", "learning_objective": "x", "pedagogical_guidance": "x"}
BAD_PAGE = "page must be a number, or what a Link header gave"
LINK = re.compile(r'<([^>]+)>; rel="(\w+)"')
MANY = 10_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    """A course with more than 20 students and 20 experiences."""
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url) as running,
    ):
        for _ in range(22):
            await running.enroll()
            await add_experience(running)
        yield running


async def add_experience(service: Service) -> None:
    assert (await service.call("POST", EXPERIENCES, user=TEACHER, json=DRAFT))[0] == 201


async def fetch(service: Service, url: str, **options: Any) -> tuple[list[int], dict[str, str]]:
    """Ids of a page's items, and its links by relation."""
    path = url.removeprefix(service.url)
    response = await service.request("GET", path, user=TEACHER, **options)
    body = await response.json()
    assert response.status == 200, body
    links = {relation: link for link, relation in LINK.findall(response.headers["Link"])}
    if isinstance(body, list):
        return [one["id"] for one in body], links
    return [int(one["user_id"]) for one in body["conversations"]], links


async def walk(service: Service, path: str) -> list[list[int]]:
    """All pages, by following the links."""
    pages, links = [], {"next": path}
    while "next" in links:
        ids, links = await fetch(service, links["next"])
        pages.append(ids)
    return pages


@pytest.mark.parametrize("path", LISTS)
async def test_ten_items_are_a_page_where_nothing_is_said(path: str, service: Service) -> None:
    ids, links = await fetch(service, path)
    assert len(ids) == 10
    assert set(links) == {"current", "first", "next"}


@pytest.mark.parametrize("path", LISTS)
async def test_links_are_absolute_and_lead_back_here(path: str, service: Service) -> None:
    asked = f"{path}?per_page=7&page=2"
    ids, links = await fetch(service, asked)
    assert links["current"] == service.url + asked
    for link in links.values():
        assert link.startswith(f"{service.url}{path}?")
        assert URL(link).query["per_page"] == "7"
    assert (await fetch(service, links["current"]))[0] == ids
    first, _ = await fetch(service, links["first"])
    assert first == (await fetch(service, f"{path}?per_page=7"))[0]
    assert max(first) < min(ids)


async def test_links_keep_what_the_list_is_filtered_by(service: Service) -> None:
    _, links = await fetch(service, f"{EXPERIENCES}?workflow_state=unpublished&per_page=3")
    assert {URL(link).query["workflow_state"] for link in links.values()} == {"unpublished"}
    assert len(await walk(service, links["next"])) > 2


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("size", [1, 3, 10, 100])
async def test_walking_all_pages_gives_each_item_exactly_once(
    path: str, size: int, service: Service
) -> None:
    everything, links = await fetch(service, f"{path}?per_page=100")
    assert "next" not in links
    pages = await walk(service, f"{path}?per_page={size}")
    assert list(chain.from_iterable(pages)) == everything
    assert len(everything) == len(set(everything)) > 20
    assert all(len(page) == size for page in pages[:-1])
    assert 0 < len(pages[-1]) <= size


@pytest.mark.parametrize("path", LISTS)
async def test_a_last_page_that_is_full_has_no_next(path: str, service: Service) -> None:
    everything, _ = await fetch(service, f"{path}?per_page=100")
    ids, links = await fetch(service, f"{path}?per_page={len(everything)}")
    assert (len(ids), "next" in links) == (len(everything), False)


@pytest.mark.parametrize("path", LISTS)
async def test_items_that_are_added_or_go_meanwhile_shift_nothing(
    path: str, service: Service
) -> None:
    """Each that was there throughout comes once; one added behind the place comes, too."""
    before, _ = await fetch(service, f"{path}?per_page=100")
    seen, links = await fetch(service, f"{path}?per_page=4")
    doomed = seen[0]
    if path == STUDENTS:
        await service.enroll()
        await service.enroll(user=doomed, status="inactive")
    else:
        await add_experience(service)
        doomed = seen[1]  # the demo's own stays, others need it
        await service.call("DELETE", f"{EXPERIENCES}/{doomed}", user=TEACHER)
    rest = list(chain.from_iterable(await walk(service, links["next"])))
    assert [*seen, *rest][: len(before)] == before
    assert len(rest) == len(before) - 4 + 1
    assert doomed not in (await fetch(service, f"{path}?per_page=100"))[0]


@pytest.mark.parametrize("path", LISTS)
async def test_numbered_pages_are_understood(path: str, service: Service) -> None:
    everything, _ = await fetch(service, f"{path}?per_page=100")
    third, links = await fetch(service, f"{path}?per_page=5&page=3")
    assert third == everything[10:15]
    assert (await fetch(service, links["next"]))[0] == everything[15:20]
    beyond, links = await fetch(service, f"{path}?page=1000000")
    assert (beyond, "next" in links) == ([], False)


async def test_a_page_has_a_hundred_items_at_most(service: Service, owner_of: Connection) -> None:
    await owner_of.execute(
        "INSERT INTO users SELECT 1, n, 'Guest' FROM generate_series(50001, 50150) n"
    )
    await owner_of.execute(
        "INSERT INTO enrollments SELECT 1, 1, n, 'learner', 'active'"
        " FROM generate_series(50001, 50150) n"
    )
    for size in ("100", "101", "999999"):
        ids, links = await fetch(service, f"{STUDENTS}?per_page={size}")
        assert len(ids) == 100
        assert URL(links["next"]).query["per_page"] == "100"
    await owner_of.execute("DELETE FROM enrollments WHERE user_id > 50000")


@pytest_asyncio.fixture(loop_scope="module")
async def owner_of(service: Service) -> AsyncIterator[Connection]:
    """The owner's connection to the service's database."""
    from eventstore.connections import connect

    connection = await connect(service.database_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("size", ["0", "-1", "abc", "", "1.5", "1e2", "٣", "9" * 30])
async def test_a_size_that_is_none_is_refused(size: str, path: str, service: Service) -> None:
    error = {"error": "per_page must be a number from 1 on"}
    params = {"per_page": size}
    await service.refused(400, error, "GET", path, user=TEACHER, params=params)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("page", ["0", "-1", "abc", "", "1.5", "1000001", "9" * 30])
async def test_a_number_that_is_none_is_refused(page: str, path: str, service: Service) -> None:
    error = {"error": "page must be a number from 1 on"}
    await service.refused(400, error, "GET", path, user=TEACHER, params={"page": page})


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "mark",
    [
        "",
        "!!!",
        "abc",
        "MQ",
        "ä",
        *(urlsafe_b64encode(text.encode()).decode() for text in ("-1", "x", str(2**63), "٣")),
        urlsafe_b64encode(b"\xff").decode(),
    ],
)
async def test_a_bookmark_that_nobody_gave_is_refused(
    mark: str, path: str, service: Service
) -> None:
    params = {"page": f"bookmark:{mark}"}
    await service.refused(400, {"error": BAD_PAGE}, "GET", path, user=TEACHER, params=params)


async def test_links_name_the_public_address_where_there_is_one(service: Service) -> None:
    """Behind a proxy the service does not know under which name it was called."""
    public = "https://colloquy.example.edu"
    async with running_service(service.database_url, public_url=public) as behind:
        behind.tokens = service.tokens
        response = await behind.request("GET", f"{EXPERIENCES}?per_page=2", user=TEACHER)
        links = LINK.findall(response.headers["Link"])
        assert len(links) == 3
        assert all(link.startswith(f"{public}{EXPERIENCES}?") for link, _ in links)


async def test_without_one_links_name_the_address_that_was_called(service: Service) -> None:
    headers = {"Host": "canvas.test:8080"}
    response = await service.request("GET", EXPERIENCES, user=TEACHER, headers=headers)
    links = LINK.findall(response.headers["Link"])
    assert {URL(link).authority for link, _ in links} == {"canvas.test:8080"}
