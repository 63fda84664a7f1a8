"""Connection URLs: hosts, passwords, and other logins of the same server."""

import pytest

from eventstore.connection_urls import hosts, split_password, with_login


@pytest.mark.parametrize(
    ("url", "each"),
    [
        ("postgresql://o:p@one:1/db?x=1", ["postgresql://o:p@one:1/db?x=1"]),
        (
            "postgresql://o:p@one:1,two/db",
            [
                "postgresql://o:p@/db?target_session_attrs=primary&host=one%3A1",
                "postgresql://o:p@/db?target_session_attrs=primary&host=two",
            ],
        ),
        (
            "postgresql://o@/db?host=one,%2Ftmp&port=1,2&target_session_attrs=any",
            [
                "postgresql://o@/db?target_session_attrs=any&host=one&port=1",
                "postgresql://o@/db?target_session_attrs=any&host=%2Ftmp&port=2",
            ],
        ),
        (
            "postgresql:///db?host=[::1],two&port=7",
            [
                "postgresql:///db?target_session_attrs=primary&host=%5B%3A%3A1%5D&port=7",
                "postgresql:///db?target_session_attrs=primary&host=two&port=7",
            ],
        ),
        (
            "postgresql://o@%2Fa,%2Fb/db",
            [
                "postgresql://o@/db?target_session_attrs=primary&host=%2Fa",
                "postgresql://o@/db?target_session_attrs=primary&host=%2Fb",
            ],
        ),
    ],
)
def test_each_host_of_a_url_gets_its_own_url(url: str, each: list[str]) -> None:
    assert hosts(url) == each


@pytest.mark.parametrize(
    ("url", "public", "password"),
    [
        ("postgresql://o:p%40%3A@one:1/db", "postgresql://o@one:1/db", "p@:"),
        ("postgresql://o@one/db?sslmode=require", "postgresql://o@one/db?sslmode=require", None),
        (
            "postgresql:///db?user=o&password=a%20b&host=%2Frun&options=-c%20x",
            "postgresql:///db?user=o&host=%2Frun&options=-c%20x",
            "a b",
        ),
        ("postgresql://one/db?%70assword=p", "postgresql://one/db", "p"),
        ("postgresql://o:one@h/db?password=other", "postgresql://o@h/db", "one"),
        ("postgresql://o@h/db?password=", "postgresql://o@h/db", None),
    ],
)
def test_a_password_is_removed_wherever_it_is(url: str, public: str, password: str | None) -> None:
    assert split_password(url) == (public, password)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("postgresql://o:p@one:1,two/db", "postgresql://a:b@one:1,two/db"),
        (
            "postgresql:///db?host=%2Frun&port=5&user=o&password=p&passfile=%2Fp&service=s"
            "&sslmode=verify-full&sslrootcert=%2Fr&sslcert=%2Fc&sslkey=%2Fk&sslpassword=p&options=x",
            "postgresql://a:b@/db?host=%2Frun&port=5&sslmode=verify-full&sslrootcert=%2Fr",
        ),
    ],
)
def test_another_login_gets_no_option_of_the_first(url: str, other: str) -> None:
    assert with_login(url, "a", "b") == other
