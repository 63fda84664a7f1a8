"""Trusted identity providers: the file that `COLLOQUY_JWT` names."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from yarl import URL

from eventstore.connections import Connection
from eventstore.errors import PathUntrusted
from eventstore.trusted_paths import read_trusted
from service.errors import SettingsError
from service.identity.roster import Role
from sql.loader import query

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

AccountId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class ClaimNames(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The names of claims, by meaning.

    Attributes:
        user_id: The user's id; required unless `subject` is set.
        subject: The provider's name of the user, looked up in the account's identities.
        courses: An object of course ids, each with a role or a list of roles. Without this claim,
            the roster has the roles.
        scopes: The token's scopes. Without this claim, the token may do all that its user may.
        account: The institution, by the names in the issuer's `accounts`.
    """

    user_id: Text | None = None
    subject: Text | None = None
    courses: Text | None = None
    scopes: Text | None = None
    account: Text | None = None


class Issuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An identity provider of one account, or of those that a claim names.

    Attributes:
        account: The provider's only account; required unless `accounts` is set.
        accounts: The account's number for each value of the claim that names the account.
        roles: The role here for each of the provider's roles.
        required: Claims that a token must have, beside `iss`, `aud` and `exp`.
    """

    issuer: Text
    audience: Text
    jwks_url: Text
    account: AccountId | None = None
    accounts: dict[str, AccountId] = {}
    claims: ClaimNames
    roles: dict[str, Role] = {}
    required: tuple[Text, ...] = ()

    @property
    def speaks_for(self) -> frozenset[int]:
        """The accounts of its users."""
        return frozenset(self.accounts.values() if self.account is None else [self.account])


class TrustedIssuers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All issuers, and the seconds by which their clocks may differ from the database's."""

    issuer: Annotated[tuple[Issuer, ...], msgspec.Meta(min_length=1)]
    clock_skew: Annotated[float, msgspec.Meta(ge=0, le=600)] = 60.0


def read_trust(file: Path) -> TrustedIssuers:
    """The file's content. Raises `SettingsError` with one line if it is invalid."""
    try:
        trust = msgspec.convert(
            tomllib.loads(read_trusted(file.absolute()).decode("utf-8-sig")), TrustedIssuers
        )
        _check(trust)
    except PathUntrusted as error:
        raise SettingsError(f"COLLOQUY_JWT: {error}") from error
    except OSError as error:
        raise SettingsError(f"COLLOQUY_JWT: {file}: {error.strerror}") from error
    except ValueError as error:  # the errors of TOML, UTF-8 and msgspec are ValueErrors, too
        reason = str(error).replace("`", "")
        raise SettingsError(f"COLLOQUY_JWT: {file}: {reason}") from error
    return trust


def check_accounts(trust: TrustedIssuers, accounts: set[int]) -> None:
    """Raises `SettingsError` if an issuer names an institution that does not exist."""
    for issuer in trust.issuer:
        for missing in sorted(issuer.speaks_for - accounts):
            reason = f"there is no account {missing}"
            raise SettingsError(f"COLLOQUY_JWT: issuer {issuer.issuer}: {reason}")


async def trust_finding(file: Path, connection: Connection) -> str | None:
    """An error in the file, or an account in it that does not exist; None if there is none."""
    try:
        rows = await connection.fetch(query("list_accounts"))
        check_accounts(read_trust(file), {row["account_id"] for row in rows})
    except SettingsError as error:
        return str(error)
    return None


def _check(trust: TrustedIssuers) -> None:
    names = [issuer.issuer for issuer in trust.issuer]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"issuer {repeated} is there twice")
    for issuer in trust.issuer:
        _check_account(issuer)
        _check_claims(issuer)
        _check_url(issuer)


def _check_account(issuer: Issuer) -> None:
    if (issuer.account is None) == (issuer.claims.account is None):
        raise ValueError(f"issuer {issuer.issuer}: needs either account or claims.account")
    if (issuer.claims.account is None) != (not issuer.accounts):
        raise ValueError(f"issuer {issuer.issuer}: claims.account and accounts belong together")


def _check_claims(issuer: Issuer) -> None:
    claims = issuer.claims
    if (claims.user_id is None) == (claims.subject is None):
        raise ValueError(f"issuer {issuer.issuer}: claims needs either user_id or subject")
    if (claims.courses is None) != (not issuer.roles):
        raise ValueError(f"issuer {issuer.issuer}: claims.courses and roles belong together")


def _check_url(issuer: Issuer) -> None:
    url = URL(issuer.jwks_url)
    if url.scheme == "https" and url.host:
        return
    if url.scheme != "http" or url.host not in _LOOPBACK:
        raise ValueError(f"issuer {issuer.issuer}: jwks_url must begin with https://")
