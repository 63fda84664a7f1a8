"""Lists page by page, as Canvas has them: `page`, `per_page`, and `Link` headers.

The pages that the links lead to are named by the last item seen, so the hundredth costs what
the first does. Numbered pages are understood too.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from aiohttp import web
from yarl import URL

from service.errors import BadRequest, NumberMalformed

DEFAULT_SIZE = 10
LARGEST_SIZE = 100

_BOOKMARK = "bookmark:"
_LAST_NUMBER = 1_000_000


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list: `size` items with ids above `after`, without the first `skip` of them."""

    size: int = DEFAULT_SIZE
    after: int = 0
    skip: int = 0


def page_parameters(request: web.Request) -> Page:
    """The page that a request asks for.

    Raises:
        BadRequest: It cannot be read; the message names which parameter.
    """
    size = _number(request, "per_page", DEFAULT_SIZE)
    size = min(size, LARGEST_SIZE)
    text = request.query.get("page", "1")
    if text.startswith(_BOOKMARK):
        return Page(size=size, after=_bookmarked(text))
    return Page(size=size, skip=(_number(request, "page", 1) - 1) * size)


def link_header(request: web.Request, base: URL, page: Page, last: int | None) -> str:
    """The `Link` header: current, first, and next where there is more.

    Args:
        base: Where clients reach the service.
        last: Id of this page's last item, where more follow.
    """
    here = base.join(URL(request.path)).with_query(request.query)
    links = [("current", here), ("first", here.update_query(page="1", per_page=str(page.size)))]
    if last is not None:
        bookmark = _BOOKMARK + urlsafe_b64encode(str(last).encode()).decode()
        links.append(("next", here.update_query(page=bookmark, per_page=str(page.size))))
    return ",".join(f'<{link}>; rel="{relation}"' for relation, link in links)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= number <= _LAST_NUMBER:
        raise NumberMalformed(name)
    return number


def _bookmarked(text: str) -> int:
    try:
        decoded = urlsafe_b64decode(text.removeprefix(_BOOKMARK)).decode()
        number = int(decoded) if decoded.isascii() and decoded.isdigit() else -1
    except ValueError:
        number = -1
    if not 0 <= number < 2**63:
        raise BadRequest("page must be a number, or what a Link header gave")
    return number
