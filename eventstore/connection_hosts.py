"""The hosts that a connection URL names."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def hosts(url: str) -> list[str]:
    """A connection URL for each host of a URL that names several; else the URL as it is.

    Of several hosts the primary is meant, where the URL does not say otherwise.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    people, at, named = parts.netloc.rpartition("@")
    among = named or options.get("host", "")
    if "," not in among:
        return [url]
    one = {"target_session_attrs": "primary"} | options
    ports = options.get("port", "").split(",")
    each = [host for host in among.split(",") if host]
    if len(ports) < len(each):
        ports = ports[:1] * len(each)
    return [
        urlunsplit(parts._replace(netloc=people + at, query=_query(one, host, port)))
        for host, port in zip(each, ports, strict=False)
    ]


def _query(options: dict[str, str], host: str, port: str) -> str:
    chosen = options | {"host": host, "port": port}
    return urlencode({name: value for name, value in chosen.items() if value})
