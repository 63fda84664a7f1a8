"""The verifier's Ed25519 accepts what RFC 8032 accepts, and refuses every other encoding."""

import hashlib
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.audit.verify_bundle import BASE, L, P, decode_point, encode_point, is_signed, multiply

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = {
    "test 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
        "f9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "test 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
        "f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "test 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
        "4dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "test SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c664"
        "31e0303dca179c138ac17ad9bef1177331a704",
    ),
}
SIGNED = tuple(bytes.fromhex(part) for part in VECTORS["test 3"])


@pytest.mark.parametrize("name", VECTORS)
def test_published_signatures_are_valid_and_changed_ones_invalid(name: str) -> None:
    public, message, signature = (bytes.fromhex(part) for part in VECTORS[name])
    assert is_signed(public, message, signature)
    assert not is_signed(public, message + b"x", signature)
    for at in range(0, 64, 7):
        changed = bytes([*signature[:at], signature[at] ^ 1, *signature[at + 1 :]])
        assert not is_signed(public, message, changed)


def test_signatures_of_a_library_are_valid() -> None:
    for number in range(10):
        key, message = Ed25519PrivateKey.generate(), os.urandom(number * 13)
        public = key.public_key().public_bytes_raw()
        assert is_signed(public, message, key.sign(message))
        assert not is_signed(os.urandom(32), message, key.sign(message))


def test_a_scalar_of_the_group_order_or_more_is_refused() -> None:
    """The equation would hold, so the signature would have a second form."""
    public, message, signature = SIGNED
    scalar = int.from_bytes(signature[32:], "little")
    for other in (scalar + L, scalar + 2 * L, L, 2**256 - 1):
        assert not is_signed(public, message, signature[:32] + other.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 96])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    public, message, signature = SIGNED
    assert not is_signed(public, message, (signature + bytes(64))[:length])


def test_a_point_has_one_encoding() -> None:
    assert BASE is not None
    for number in (1, 2, 3, 1000, L - 1, L + 5):
        encoded = encode_point(multiply(number, BASE))
        decoded = decode_point(encoded)
        assert decoded is not None
        assert encode_point(decoded) == encoded
    minus_zero = (1 | 1 << 255).to_bytes(32, "little")
    for wrong in (
        P.to_bytes(32, "little"),
        (P + 1).to_bytes(32, "little"),
        (2**255 - 1).to_bytes(32, "little"),
        (2**256 - 1).to_bytes(32, "little"),
        minus_zero,
        (2).to_bytes(32, "little"),  # no x for this y
        bytes(31),
        bytes(33),
    ):
        assert decode_point(wrong) is None
    assert encode_point(multiply(L, BASE)) == (1).to_bytes(32, "little")


def test_an_invalid_encoding_is_refused_as_key_and_in_a_signature() -> None:
    """With the neutral point as key, 0 as scalar and R = 0, the equation holds for any message."""
    neutral, other = (1).to_bytes(32, "little"), (P + 1).to_bytes(32, "little")
    assert is_signed(neutral, b"any", neutral + bytes(32))
    assert not is_signed(other, b"any", neutral + bytes(32))
    assert not is_signed(neutral, b"any", other + bytes(32))
