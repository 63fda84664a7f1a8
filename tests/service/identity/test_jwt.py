"""Tokens of institutions' identity providers: what they permit, and which are refused."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession, web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from structlog.testing import capture_logs

from eventstore.connections import connect
from service.errors import SettingsError
from service.identity.accounts import create_account, link_identity
from service.identity.errors import TokenRefused
from service.identity.issuers import read_trust
from service.identity.jwks import FRESH, PAUSE, KeySet
from service.identity.jwt import JwtVerifier, running_verifier
from service.identity.roster import Enrollment, import_roster
from service.identity.tokens import create_token
from tests.running import CONVERSATIONS, LEARNER, TEACHER, Service, eventually, running_service
from tests.service.identity.test_authority import BY_OPERATOR, ERASE, held_appends, wait_for_appends

RSA_KEY = rsa.generate_private_key(65537, 2048)
NEXT_KEY = rsa.generate_private_key(65537, 2048)
FOREIGN_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER = "https://idp.example.edu"
AUDIENCE = "colloquy"
INVALID = {"errors": [{"message": "Invalid access token."}]}
COLLOQUY_SCOPE = "url:GET|/api/v1/courses/:course_id/ai_experiences/:ai_experience_id/conversations"


class Provider:
    """An identity provider: a local server with the public keys, which can go away or change."""

    def __init__(self) -> None:
        self.keys = [public("rsa", RSA_KEY), public("ec", EC_KEY)]
        self.status = 200
        self.fetches = 0
        self.url = ""
        self.now = 0.0
        self.hold: asyncio.Event | None = None

    async def answer(self, _request: web.Request) -> web.Response:
        self.fetches += 1
        if self.hold:
            await self.hold.wait()
        return web.json_response({"keys": self.keys}, status=self.status)

    def later(self, seconds: float) -> None:
        self.now += seconds


def public(kid: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        text = RSAAlgorithm.to_jwk(key.public_key())
    else:
        text = ECAlgorithm.to_jwk(key.public_key())
    return {**json.loads(text), "kid": kid, "use": "sig"}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_get("/jwks", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    provider.url = f"http://{host}:{port}/jwks"
    yield provider
    await runner.cleanup()


def trust_file(
    folder: Path, provider: Provider, claims: str = 'user_id = "user"', **more: str
) -> Path:
    lines = [f'issuer = "{ISSUER}"', f'audience = "{AUDIENCE}"', f'jwks_url = "{provider.url}"']
    lines += [f"{name} = {value}" for name, value in {"account": "1", **more}.items()]
    file = folder / "jwt.toml"
    body = "\n".join(["[[issuer]]", *lines, "[issuer.claims]", claims])
    file.write_text(body + "\n")
    return file


def token(key: Any = RSA_KEY, kid: str | None = "rsa", alg: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    body = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 300, "user": LEARNER, **claims}
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, key, algorithm=alg, headers={"kid": kid} if kid else None)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    body = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300, "user": LEARNER}
    return f"{part(header)}.{part(body)}.{signature}"


def by_public_key(kid: str = "rsa") -> str:
    """A token signed with the public key's bytes as a shared secret."""
    secret = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = unsigned({"alg": "HS256", "typ": "JWT", "kid": kid}).rstrip(".")
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def other_payload(text: str) -> str:
    """A token with the same header and signature over other claims."""
    header, _, signature = text.split(".")
    return ".".join((header, unsigned({}).split(".")[1] + "A", signature))


def other_writing(text: str) -> str:
    """The same signature in another encoding: four bits of its last character have no meaning."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) + 1]


def utc_now() -> datetime:
    return datetime.now(UTC)


def soon(seconds: int) -> int:
    return int(time.time()) + seconds


@pytest.fixture
async def service(demo_url: str, provider: Provider, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(demo_url, jwt=trust_file(tmp_path, provider)) as running:
        yield running


@asynccontextmanager
async def verifier(
    folder: Path, provider: Provider, now: Callable[[], datetime] = utc_now, **more: str
) -> AsyncIterator[JwtVerifier]:
    """A verifier whose keys' clock stands until the test moves it."""
    trust = read_trust(trust_file(folder, provider, **more))
    async with ClientSession() as http:
        keys = KeySet(provider.url, http, lambda: provider.now)
        yield JwtVerifier(trust, {ISSUER: keys}, now)
        await keys.close()


@pytest.mark.parametrize(
    ("key", "kid", "alg"), [(RSA_KEY, "rsa", "RS256"), (EC_KEY, "ec", "ES256")]
)
async def test_a_user_of_the_roster_converses_with_a_token_of_the_provider(
    key: Any, kid: str, alg: str, service: Service
) -> None:
    """The conversation is the same with the user's other tokens."""
    headers = bearer(token(key, kid, alg))
    status, opened = await service.call("POST", CONVERSATIONS, user=None, headers=headers)
    assert status == 201
    assert await service.call("GET", CONVERSATIONS, user=None, headers=headers) == (200, opened)
    assert await service.active(LEARNER) == opened


async def test_such_a_users_actions_are_recorded_without_a_token_id(service: Service) -> None:
    head = await service.head()
    await service.call("POST", CONVERSATIONS, user=None, headers=bearer(token()))
    first = (await service.history(head))[0]
    assert (first.metadata.actor.id, first.metadata.actor.role) == (LEARNER, "learner")
    assert (first.metadata.token_id, first.metadata.real_user_id) == (None, None)


async def test_access_tokens_are_still_accepted(service: Service) -> None:
    assert await service.active() == {}
    wrong = await service.request("GET", CONVERSATIONS, user=None, headers=bearer("colloquy_a.b.c"))
    assert (wrong.status, (await wrong.json())["errors"]) == (401, INVALID["errors"])


async def test_a_user_who_is_no_member_is_not_authorized(service: Service) -> None:
    status, _ = await service.call(
        "GET", CONVERSATIONS, user=None, headers=bearer(token(user=424242))
    )
    assert status == 403


REFUSALS: dict[str, tuple[str, Callable[[], str]]] = {
    "no algorithm": ("algorithm", lambda: unsigned({"alg": "none"})),
    "No algorithm": ("algorithm", lambda: unsigned({"alg": "nOnE", "kid": "rsa"})),
    "HS256 with the public key": ("algorithm", by_public_key),
    "a stronger hash": ("algorithm", lambda: token(alg="RS512")),
    "RSA's key for EC": ("algorithm", lambda: token(EC_KEY, "rsa", "ES256")),
    "a foreign key": ("signature", lambda: token(FOREIGN_KEY)),
    "a foreign key in the header": (
        "signature",
        lambda: jwt.encode(
            jwt.decode(token(), options={"verify_signature": False}),
            FOREIGN_KEY,
            "RS256",
            {"kid": "rsa", "jwk": public("rsa", FOREIGN_KEY), "jku": "http://127.0.0.1:1/"},
        ),
    ),
    "other claims under the signature": ("malformed", lambda: other_payload(token())),
    "expired": ("expired", lambda: token(exp=soon(-120))),
    "not valid yet": ("not_yet_valid", lambda: token(nbf=soon(120))),
    "another audience": ("audience", lambda: token(aud="other")),
    "no audience": ("claims", lambda: token(aud=None)),
    "no expiry": ("claims", lambda: token(exp=None)),
    "expiry in words": ("claims", lambda: token(exp="tomorrow")),
    "expiry in digits": ("claims", lambda: token(exp=str(soon(300)))),
    "a truth as expiry": ("claims", lambda: token(exp=True)),
    "an expiry that never comes": ("claims", lambda: token(exp=float("inf"))),
    "an expiry that is no number": ("claims", lambda: token(exp=float("nan"))),
    "begins in words": ("claims", lambda: token(nbf="now")),
    "begins never": ("claims", lambda: token(nbf=float("inf"))),
    "issued tomorrow": ("not_yet_valid", lambda: token(iat=soon(86_400))),
    "issued in words": ("claims", lambda: token(iat=[1])),
    "another issuer": ("unknown_issuer", lambda: token(iss="https://evil.example")),
    "issuer with a slash": ("unknown_issuer", lambda: token(iss=ISSUER + "/")),
    "no issuer": ("unknown_issuer", lambda: token(iss=None)),
    "an unknown key": ("unknown_key", lambda: token(kid="other")),
    "a path as key": ("unknown_key", lambda: token(kid="../../../../dev/null")),
    "a URL as key": ("unknown_key", lambda: token(kid="http://127.0.0.1:1/jwks")),
    "a number as key": ("malformed", lambda: unsigned({"alg": "RS256", "kid": 7}, "AAAA")),
    "a long key": ("unknown_key", lambda: token(kid="k" * 201)),
    "no key named of two": ("unknown_key", lambda: token(kid=None)),
    "oversized": ("too_large", lambda: token(padding="x" * 9_000)),
    "no user": ("claims", lambda: token(user=None)),
    "a user in words": ("claims", lambda: token(user="101 OR 1=1")),
    "a user below one": ("claims", lambda: token(user=0)),
    "a truth as user": ("claims", lambda: token(user=True)),
    "padding after it": ("malformed", lambda: token() + "=="),
    "padding in it": ("malformed", lambda: token().replace(".", "=.")),
    "strange letters in it": ("malformed", lambda: token().replace(".", ".!")),
    "another writing of its last letter": ("malformed", lambda: other_writing(token())),
    "three empty parts": ("malformed", lambda: ".."),
    "no base64": ("malformed", lambda: "a.b.c"),
    "a list as claims": ("malformed", lambda: f"{part({'alg': 'RS256'})}.{part([1])}.AAAA"),
    "deep nesting": (
        "malformed",
        lambda: (
            f"{part({'alg': 'RS256'})}."
            + base64.urlsafe_b64encode(b"[" * 5_000).decode().rstrip("=")
            + ".AAAA"
        ),
    ),
}


NOT_AT_A_CLAIM = {"algorithm", "signature", "malformed", "unknown_key", "too_large"}
CLAIMS = {
    "exp": (
        "expired",
        "no expiry",
        "expiry in words",
        "expiry in digits",
        "a truth as expiry",
        "an expiry that never comes",
        "an expiry that is no number",
    ),
    "nbf": ("not valid yet", "begins in words", "begins never"),
    "iat": ("issued tomorrow", "issued in words"),
    "aud": ("another audience", "no audience"),
    "iss": ("another issuer", "issuer with a slash", "no issuer"),
    "user": ("no user", "a user in words", "a user below one", "a truth as user"),
}
"""The claims at which the refused tokens fail."""


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_wrong_token_is_refused_for_its_reason(
    name: str, provider: Provider, tmp_path: Path
) -> None:
    reason, make = REFUSALS[name]
    async with verifier(tmp_path, provider) as checks:
        await checks.verify(token())
        with pytest.raises(TokenRefused) as refused:
            await checks.verify(make())
    assert refused.value.reason == reason
    assert refused.value.claim == next((c for c, names in CLAIMS.items() if name in names), None)


@pytest.mark.parametrize(
    ("names", "claims", "claim"),
    [
        ('subject = "upn"', {"upn": 7}, "upn"),
        ('user_id = "user"\nscopes = "scp"', {"scp": []}, "scp"),
        ('user_id = "user"\ncourses = "roles"\n[issuer.roles]\nS = "learner"', {}, "roles"),
        ('user_id = "user"', {"iat": "then"}, "iat"),
        ('user_id = "user"', {"sub": 7}, "sub"),
    ],
)
async def test_the_claim_at_which_a_token_fails_is_named(
    names: str, claims: dict[str, Any], claim: str, provider: Provider, tmp_path: Path
) -> None:
    """Including claims that the settings name, and those that the library checks."""
    trust = read_trust(trust_file(tmp_path, provider, names))
    async with running_verifier(trust, utc_now) as checks:
        with pytest.raises(TokenRefused) as refused:
            await checks.verify(token(**claims))
    assert (refused.value.reason, refused.value.claim) == ("claims", claim)


async def test_every_wrong_token_gets_the_same_answer_and_appends_nothing(
    service: Service, provider: Provider
) -> None:
    """The log line has the reason, and nothing has the token."""
    for reason, make in REFUSALS.values():
        text = make()
        with capture_logs() as lines:
            response = await service.refused(
                401, INVALID, "POST", CONVERSATIONS, user=None, headers=bearer(text)
            )
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="canvas-lms"'
        (told,) = [line for line in lines if line["event"] == "token_refused"]
        assert told["reason"] == reason
        assert (told["claim"] is None) == (reason in NOT_AT_A_CLAIM)
        assert text not in str(lines)


async def test_clocks_may_differ_by_the_skew(provider: Provider, tmp_path: Path) -> None:
    async with verifier(tmp_path, provider) as checks:
        claims = await checks.verify(token(exp=soon(-30), nbf=soon(30)))
    assert claims.user_id == LEARNER


@pytest.mark.parametrize(("days", "reason"), [(2, "expired"), (-2, "not_yet_valid")])
async def test_a_tokens_validity_is_checked_with_the_verifiers_clock(
    days: int, reason: str, provider: Provider, tmp_path: Path
) -> None:
    """It is the database's, so a machine with a wrong clock accepts no other tokens."""
    async with verifier(tmp_path, provider, lambda: utc_now() + timedelta(days=days)) as checks:
        with pytest.raises(TokenRefused) as refused:
            await checks.verify(token(nbf=soon(0)))
        assert refused.value.reason == reason
        shifted = days * 86_400
        await checks.verify(token(exp=soon(shifted + 60), nbf=soon(shifted - 60)))


async def test_probes_ignore_tokens(service: Service) -> None:
    status, _ = await service.call("GET", "/healthz", user=None, headers=bearer("a.b.c"))
    assert status == 200


async def test_scopes_of_the_claim_are_the_tokens_scopes(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    file = trust_file(tmp_path, provider, 'user_id = "user"\nscopes = "scope"')
    async with running_service(demo_url, jwt=file) as service:
        headers = bearer(token(scope=f"openid {COLLOQUY_SCOPE}"))
        assert await service.call("GET", CONVERSATIONS, user=None, headers=headers) == (200, {})
        assert (await service.call("POST", CONVERSATIONS, user=None, headers=headers))[0] == 401
        wrong: tuple[object, ...] = ("", " ", None, [], 7)
        for scope in wrong:
            headers = bearer(token(scope=scope))
            assert (await service.call("GET", CONVERSATIONS, user=None, headers=headers))[0] == 401


async def test_the_auditors_scope_must_be_in_the_claim(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    """A token that may do all that its user may is not an auditor's."""
    path = "/api/v1/audit/events"
    without = trust_file(tmp_path, provider, 'user_id = "user"')
    async with running_service(demo_url, jwt=without) as service:
        headers = bearer(token(scope="colloquy:audit"))
        assert (await service.call("GET", path, user=None, headers=headers))[0] == 401
    claimed = trust_file(tmp_path, provider, 'user_id = "user"\nscopes = "scope"')
    async with running_service(demo_url, jwt=claimed) as service:
        for scope, status in (("colloquy:audit", 200), ("", 401), (COLLOQUY_SCOPE, 401)):
            headers = bearer(token(scope=scope))
            assert (await service.call("GET", path, user=None, headers=headers))[0] == status


async def test_roles_of_the_claim_replace_those_of_the_roster(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    """The strongest role counts; the user is no member of courses that the claim does not name."""
    file = trust_file(tmp_path, provider, 'user_id = "user"\ncourses = "courses"')
    file.write_text(
        file.read_text() + '[issuer.roles]\nInstructor = "teacher"\nPupil = "learner"\n'
    )
    async with running_service(demo_url, jwt=file) as service:
        path = CONVERSATIONS.replace("conversations", "ai_conversations")
        for user, courses, expected in (
            (LEARNER, {"1": ["Pupil", "Instructor"]}, 200),
            (LEARNER, {"1": "Instructor"}, 200),
            (TEACHER, {"1": "Pupil"}, 403),
            (TEACHER, {"2": "Instructor"}, 403),
            (TEACHER, {}, 403),
            (TEACHER, {"1": ["teacher", None]}, 403),
            (TEACHER, {"x": "Instructor"}, 401),
            (TEACHER, {"1": 7}, 401),
            (TEACHER, "Instructor", 401),
            (TEACHER, None, 401),
        ):
            headers = bearer(token(user=user, courses=courses))
            status, _ = await service.call("GET", path, user=None, headers=headers)
            assert status == expected, courses
        newcomer = bearer(token(user=7_007, courses={"1": "Pupil"}))
        assert await service.call("GET", CONVERSATIONS, user=None, headers=newcomer) == (200, {})


async def test_a_user_who_is_in_no_roster_can_be_found_held_and_erased(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    """The provider's claims of user and courses suffice."""
    file = trust_file(tmp_path, provider, 'user_id = "user"\ncourses = "courses"')
    file.write_text(file.read_text() + '[issuer.roles]\nPupil = "learner"\n')
    async with running_service(demo_url, jwt=file) as service:
        learner = bearer(token(user=7_777, courses={"1": "Pupil"}))
        status, _ = await service.call("POST", CONVERSATIONS, user=None, headers=learner)
        assert status == 201
        connection = await connect(demo_url)
        admin = bearer(await create_token(connection, 1, TEACHER, admin=True))
        await connection.close()
        record = "/api/v1/users/{}/learner_record"
        for user, headers in (("self", learner), ("7777", admin)):
            status, kept = await service.call(
                "GET", record.format(user), user=None, headers=headers
            )
            assert (status, len(kept["conversations"])) == (200, 1)
        path = "/api/v1/accounts/self/users/7777/learner_data"
        status, report = await service.call(
            "DELETE", path, user=None, headers=admin, json={"reason": "asked"}
        )
        assert (status, report["erased"]["texts"]) == (200, 1)
        assert (await service.history())[-1].event.__struct_config__.tag == "learner_erased.v1"


async def test_a_claim_names_the_institution_of_a_shared_provider(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    """Each institution has its own user with this id; a value without an account is refused."""
    connection = await connect(demo_url)
    second = await create_account(connection, "Another institution")
    rows = [Enrollment(course_id=1, user_id=LEARNER, name="X", role="learner", status="active")]
    await import_roster(connection, second, rows)
    await connection.close()
    file = trust_file(tmp_path, provider, 'user_id = "user"\naccount = "tenant"')
    text = file.read_text().replace("account = 1\n", "")
    file.write_text(f"{text}[issuer.accounts]\nfirst = 1\nsecond = {second}\n")
    async with running_service(demo_url, jwt=file) as service:
        ours, theirs = bearer(token(tenant="first")), bearer(token(tenant="second"))
        opened = await service.call("POST", CONVERSATIONS, user=None, headers=ours)
        assert await service.call("GET", CONVERSATIONS, user=None, headers=ours) == (
            200,
            opened[1],
        )
        status, answer = await service.call("GET", CONVERSATIONS, user=None, headers=theirs)
        assert (status, answer["error"]) == (404, "Resource Not Found")  # its experience 1
        for wrong in ("third", "1", "", 1, None, ["first"]):
            headers = bearer(token(tenant=wrong))
            await service.refused(401, INVALID, "GET", CONVERSATIONS, user=None, headers=headers)


async def test_a_subject_is_looked_up_in_the_accounts_identities(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    file = trust_file(tmp_path, provider, 'subject = "sub"')
    async with running_service(demo_url, jwt=file) as service:
        ada, nobody = bearer(token(sub="ada@example.edu")), bearer(token(sub="eve@example.edu"))
        await service.refused(401, INVALID, "GET", CONVERSATIONS, user=None, headers=ada)
        connection = await connect(demo_url)
        await link_identity(connection, 1, "ada@example.edu", LEARNER)
        await connection.close()
        opened = await service.open(LEARNER)
        assert await service.call("GET", CONVERSATIONS, user=None, headers=ada) == (200, opened)
        await service.refused(401, INVALID, "GET", CONVERSATIONS, user=None, headers=nobody)
        await service.refused(
            401, INVALID, "GET", CONVERSATIONS, user=None, headers=bearer(token(sub=str(LEARNER)))
        )


@pytest.mark.parametrize(("claim", "status"), [('subject = "sub"', 401), ('user_id = "user"', 503)])
async def test_a_request_in_progress_is_refused_after_its_users_erasure(
    claim: str, status: int, demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    """The provider's token stays valid; only the log knows of the erasure."""
    file = trust_file(tmp_path, provider, claim)
    async with running_service(demo_url, jwt=file) as service:
        connection = await connect(demo_url)
        await link_identity(connection, 1, "ada@example.edu", LEARNER)
        await connection.close()
        headers = bearer(token(sub="ada@example.edu", user=LEARNER))
        head = await service.head()
        async with held_appends(service) as holder:
            asking = asyncio.create_task(
                service.call("POST", CONVERSATIONS, user=None, headers=headers)
            )
            await wait_for_appends(service, asking)
            assert await holder.fetchval(ERASE, LEARNER, BY_OPERATOR) == "erased"
        assert (await asking)[0] == status
        assert {e.stream for e in await service.history(head)} == {f"learner-{LEARNER}"}


async def test_an_issuer_never_speaks_for_another_institution(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    """Its tokens for user 101 are of its own account's user 101, whatever they claim."""
    connection = await connect(demo_url)
    assert await create_account(connection, "Another institution") == 2
    await connection.close()
    file = trust_file(tmp_path, provider, account="2")
    async with running_service(demo_url, jwt=file) as service:
        await service.open(LEARNER)
        missing = {"error": "Resource Not Found"}
        for text in (token(), token(account=1), token(account_id=1)):
            headers = bearer(text)
            await service.refused(404, missing, "GET", CONVERSATIONS, user=None, headers=headers)


async def test_new_keys_are_accepted_without_a_restart(provider: Provider, tmp_path: Path) -> None:
    """Unknown keys cause at most one fetch a minute, which also drops old keys."""
    async with verifier(tmp_path, provider) as checks:
        await checks.verify(token())
        assert provider.fetches == 1
        provider.keys = [public("next", NEXT_KEY)]
        for _ in range(3):
            with pytest.raises(TokenRefused):
                await checks.verify(token(NEXT_KEY, "next"))
        assert provider.fetches == 1
        provider.later(PAUSE)
        await checks.verify(token(NEXT_KEY, "next"))
        assert provider.fetches == 2
        with pytest.raises(TokenRefused):
            await checks.verify(token())


async def test_old_keys_are_fetched_again_in_the_background(
    provider: Provider, tmp_path: Path
) -> None:
    async with verifier(tmp_path, provider) as checks:
        await checks.verify(token())
        provider.keys = [public("next", NEXT_KEY)]
        provider.later(FRESH + 1)
        await checks.verify(token())

        async def withdrawn() -> bool:
            try:
                await checks.verify(token())
            except TokenRefused:
                return True
            return False

        await eventually(withdrawn)
        assert provider.fetches == 2


async def test_a_key_withdrawn_during_a_time_without_requests_is_refused(
    provider: Provider, tmp_path: Path
) -> None:
    """Without requests nothing is fetched, so the next request waits for a fetch."""
    async with verifier(tmp_path, provider) as checks:
        await checks.verify(token())
        provider.keys = [public("next", NEXT_KEY)]
        provider.later(7 * 24 * 3600)
        stolen = [asyncio.create_task(checks.verify(token())) for _ in range(5)]
        for task in stolen:
            with pytest.raises(TokenRefused):
                await task
        await checks.verify(token(NEXT_KEY, "next"))
        assert provider.fetches == 2


async def test_known_keys_stay_valid_while_the_provider_is_down(
    provider: Provider, tmp_path: Path
) -> None:
    async with verifier(tmp_path, provider) as checks:
        await checks.verify(token())
        for status, keys in ((503, provider.keys), (200, []), (302, provider.keys)):
            provider.status, provider.keys = status, keys
            provider.later(3600)
            with pytest.raises(TokenRefused):
                await checks.verify(token(NEXT_KEY, "next"))
            await checks.verify(token())
        assert provider.fetches == 4


async def test_requests_share_one_fetch_and_others_do_not_wait(
    provider: Provider, tmp_path: Path
) -> None:
    async with verifier(tmp_path, provider) as checks:
        await checks.verify(token())
        provider.keys.append(public("next", NEXT_KEY))
        provider.later(PAUSE)
        provider.hold = asyncio.Event()
        fresh = [asyncio.create_task(checks.verify(token(NEXT_KEY, "next"))) for _ in range(20)]
        await eventually(lambda: provider.fetches == 2)
        await checks.verify(token())
        assert not any(task.done() for task in fresh)
        provider.hold.set()
        await asyncio.gather(*fresh)
        assert provider.fetches == 2


async def test_a_provider_that_is_down_at_the_start_does_not_stop_it(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    provider.status = 500
    async with running_service(demo_url, jwt=trust_file(tmp_path, provider)) as service:
        assert await service.active() == {}
        headers = bearer(token())
        await service.refused(401, INVALID, "GET", CONVERSATIONS, user=None, headers=headers)


@pytest.mark.parametrize(
    "change", [{"kty": "oct", "k": "c2VjcmV0"}, {"use": "enc"}, {"alg": "RS512"}]
)
async def test_keys_for_other_uses_are_ignored(
    change: dict[str, str], provider: Provider, tmp_path: Path
) -> None:
    provider.keys = [public("ec", EC_KEY), {**public("rsa", RSA_KEY), **change}]
    async with verifier(tmp_path, provider) as checks:
        await checks.verify(token(EC_KEY, "ec", "ES256"))
        with pytest.raises(TokenRefused, match="unknown_key"):
            await checks.verify(token())


WRONG_FILES = {
    "is no TOML": "issuer = [",
    "has no issuer": "clock_skew = 5",
    "has an unknown field": '[[issuer]]\nissuers = "x"',
    "has an issuer twice": "TWICE",
    "names no user": 'claims = {courses = "c"}',
    "names the user twice": 'claims = {user_id = "u", subject = "s"}',
    "has roles that nothing names": 'claims = {user_id = "u"}\nroles = {A = "teacher"}',
    "has a role that we do not have": 'claims = {user_id = "u", courses = "c"}\nroles = {A = "x"}',
    "tells the account twice": 'claims = {user_id = "u", account = "t"}\naccounts = {a = 2}',
    "has accounts that nothing names": 'claims = {user_id = "u"}\naccounts = {a = 2}',
    "fetches keys in the clear": 'claims = {user_id = "u"}\njwks_url = "http://idp.example.edu/k"',
}
HEAD = '[[issuer]]\nissuer = "https://a"\naudience = "c"\naccount = 1\n'


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_settings_file_is_refused_in_one_line_if_it(name: str, tmp_path: Path) -> None:
    body = WRONG_FILES[name]
    good = HEAD + 'jwks_url = "https://a/k"\nclaims = {user_id = "u"}\n'
    if body == "TWICE":
        body = good + good
    elif body.startswith("claims"):
        url = "" if "jwks_url" in body else 'jwks_url = "https://a/k"\n'
        body = HEAD + url + body
    file = tmp_path / "jwt.toml"
    file.write_text(good)
    read_trust(file)
    file.write_text(body)
    with pytest.raises(SettingsError) as refused:
        read_trust(file)
    assert str(refused.value).startswith(f"COLLOQUY_JWT: {file}: ")
    assert "\n" not in str(refused.value)


async def test_a_missing_file_or_account_stops_the_start(
    demo_url: str, provider: Provider, tmp_path: Path
) -> None:
    for file, reason in (
        (tmp_path / "none.toml", "No such file"),
        (trust_file(tmp_path, provider, account="77"), "there is no account 77"),
    ):
        with pytest.raises(SettingsError, match=reason):
            async with running_service(demo_url, jwt=file):
                pass
