"""What the log has in place of idempotency keys, computed by another program than the database."""

import hashlib
import hmac

from eventstore.connections import Connection

BLOCK = 64
"""Bytes of SHA-256's block, to which RFC 2104 fills a secret up."""

Secrets = dict[int, bytes]
"""By user."""


async def read_secrets(owner: Connection, account_id: int = 1) -> Secrets:
    """The secrets of an account's users."""
    rows = await owner.fetch("SELECT * FROM request_secrets WHERE account_id = $1", account_id)
    found = {}
    for row in rows:
        secret = bytes(byte ^ 0x36 for byte in row["inner_key"])
        assert row["outer_key"] == bytes(byte ^ 0x5C for byte in secret)
        assert secret[32:] == bytes(BLOCK - 32)
        found[row["user_id"]] = secret[:32]
    return found


def hash_of(key: str, secret: bytes) -> str:
    """What the log has in place of a key."""
    return f"hmac-sha256 {hmac.new(secret, key.encode(), hashlib.sha256).hexdigest()}"
