"""Who makes a request, and whether they may do what it asks for."""

from aiohttp import web

from service.errors import NotAuthorized, NotFound, SeveralUsersNamed, Unauthenticated
from service.http.forms import AS_USER, REFUSED, await_body, read_form
from service.http.request import path_id
from service.http.request_keys import (
    ACCESS,
    AUTHENTICATOR,
    POOL,
    SCOPE,
)
from service.identity.authenticator import Credentials
from service.identity.authorization import Access, authorize, authorize_account
from service.parsing import read_id
from sql.loader import query


async def authenticate(request: web.Request) -> Credentials:
    """Identifies the caller once the body has arrived. Permissions are checked later.

    Raises:
        Unauthenticated: There is no token; the body is not waited for.
        InvalidToken: It is of no account, or does not work any more: then a body that is still
            to come is not waited for.
        HTTPRequestTimeout: The body did not arrive in time.
    """
    token, body_arrived = bearer_token(request), request.content.is_eof()
    # Nobody waits for a body of a token that works no more.
    credentials = await request.app[AUTHENTICATOR].authenticate(token, anew=not body_arrived)
    await await_body(request)
    return credentials._replace(as_user_id=await _as_user(request))


async def access_of(
    request: web.Request,
    conversation: str = "id",
    credentials: Credentials | None = None,
    everywhere: str | None = None,
) -> Access:
    """The caller, after the checks of the path's course and experience.

    Args:
        conversation: The path's parameter that names the conversation.
        credentials: Of the request, where they are known already.
        everywhere: A scope that does as well, and makes its bearer an analyst in every course.

    Raises:
        ServiceError: The first check that fails.
    """
    authenticator, pool = request.app[AUTHENTICATOR], request.app[POOL]
    credentials = credentials or await authenticate(request)
    row = await pool.fetchrow(
        credentials.account_id,
        query("get_access"),
        *credentials.arguments(),
        path_id(request, "course_id"),
        path_id(request, "ai_experience_id"),
        path_id(request, conversation),
    )
    access = authorize(
        credentials,
        row,
        request[SCOPE],
        of_course="ai_experience_id" not in request.match_info,
        everywhere=everywhere,
    )
    await authenticator.ensure_user(pool, credentials, access.user_id)
    remember_access(request, access)
    if request.method == "DELETE":  # no handler reads its body, which may be a form that is broken
        await read_form(request)
    return access


async def account_access_of(request: web.Request, scope: str | None = None) -> Access:
    """The caller of an endpoint outside any course.

    Args:
        scope: What the token must carry, in place of the endpoint's own scope.

    Raises:
        ServiceError: The first check that fails.
    """
    authenticator, pool = request.app[AUTHENTICATOR], request.app[POOL]
    credentials = await authenticate(request)
    row = await pool.fetchrow(
        credentials.account_id, query("get_access"), *credentials.arguments(), None, None, None
    )
    access = authorize_account(
        credentials, row, scope or request[SCOPE], explicit=scope is not None
    )
    await authenticator.ensure_user(pool, credentials, access.user_id)
    remember_access(request, access)
    return access


async def manager_of(request: web.Request, conversation: str = "id") -> Access:
    """The caller, who must be a manager of the course.

    Raises:
        NotAuthorized: They are not.
        ServiceError: The first check that fails.
    """
    access = await access_of(request, conversation)
    if not access.manages:
        raise NotAuthorized
    return access


async def participant_of(request: web.Request) -> tuple[Access, int]:
    """The caller, who owns the path's conversation or manages its course; and its owner.

    Raises:
        NotFound: They do neither, or there is no such conversation.
        ServiceError: The first check that fails.
    """
    access = await access_of(request)
    owner = access.conversation_user_id
    if owner is None or (owner != access.user_id and not access.manages):
        raise NotFound
    return access, owner


async def managed_conversation(request: web.Request, conversation: str = "id") -> Access:
    """The caller, who must manage the course of the path's conversation.

    Raises:
        NotFound: There is no such conversation.
        ServiceError: The first check that fails.
    """
    access = await manager_of(request, conversation)
    if access.conversation_user_id is None:
        raise NotFound
    return access


def remember_access(request: web.Request, access: Access) -> None:
    """Keeps the caller for the request's log line and for answers."""
    request[ACCESS] = access


async def named_user(request: web.Request) -> str | None:
    """The user whom the caller wants to act as, from the form or the query; None if none is named.

    A form that cannot be read names nobody: it is refused after the checks.

    Raises:
        SeveralUsersNamed: It names several.
    """
    try:
        form = await read_form(request)
    except REFUSED:
        form = {}
    named = {str(name) for name in (form.get(AS_USER), *request.query.getall(AS_USER, ())) if name}
    if len(named) > 1:
        raise SeveralUsersNamed
    return named.pop() if named else None


def bearer_token(request: web.Request) -> str:
    """The request's bearer token.

    Raises:
        Unauthenticated: There is none.
    """
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    token = rest.strip(" ")  # other white space is part of it, and so of no token of ours
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token


async def _as_user(request: web.Request) -> int | None:
    text = await named_user(request)
    return (read_id(text) or 0) if text else None
