"""Pages to read and to print: one file each, with no script and nothing to load."""

import base64
import hashlib
from functools import cached_property
from importlib.resources import files
from string import Template


class HtmlPage:
    """A page made of a template and its style sheet.

    Args:
        package: Where the two files are: `<name>.html`, with `$style`, and `<name>.css`.
        name: Of the files.
    """

    def __init__(self, package: str, name: str) -> None:
        self._package = package
        self._name = name

    def render(self, **parts: object) -> bytes:
        """The page.

        Args:
            parts: HTML by the names in the template; whatever is text in it is escaped already.
        """
        return self._template.substitute(style=self.style, **parts).encode()

    @property
    def headers(self) -> dict[str, str]:
        """Content type, and the security policy that lets it use its own style sheet alone."""
        return {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": self._policy,
        }

    @cached_property
    def style(self) -> str:
        """The style sheet."""
        return self._read("css")

    @cached_property
    def _template(self) -> Template:
        return Template(self._read("html"))

    @cached_property
    def _policy(self) -> str:
        digest = base64.b64encode(hashlib.sha256(self.style.encode()).digest()).decode()
        return (
            f"default-src 'none'; style-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def _read(self, kind: str) -> str:
        return (files(self._package) / f"{self._name}.{kind}").read_text("utf-8")
