"""A browser as far as forms need one: it keeps cookies, opens pages and sends the forms that it finds on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Visitor"]

_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Visitor:
    """Somebody in front of a server; `headers` may bring the cookie of a session."""

    def __init__(self, http: Any, headers: Mapping[str, str] | None = None) -> None:
        self._http = http
        self._headers = {"Accept": "text/html", "Origin": "http://127.0.0.1:5000", **(headers or {})}
        pairs = (pair.partition("=") for pair in self._headers.pop("Cookie", "").split("; ") if pair)
        self.cookies = {name: value for name, _, value in pairs}

    def open(self, path: str) -> Any:
        """The answer to looking at a page."""
        return self._keep(self._http.get(path, headers=self._sent()))

    def token(self, page: str) -> str:
        """What the forms of a page carry."""
        answer = self.open(page)
        found = set(_TOKEN.findall(answer.text))
        assert len(found) == 1, (page, answer.status_code, found)
        return str(found.pop())

    def send(self, page: str, action: str, **fields: str) -> Any:
        """The answer to a form of a page, sent as the page has it."""
        return self.post(action, {"csrf": self.token(page), **fields})

    def post(self, action: str, fields: Mapping[str, str]) -> Any:
        """The answer to a form with exactly these fields."""
        headers = {**self._sent(), "Content-Type": "application/x-www-form-urlencoded"}
        return self._keep(self._http.post(action, data=dict(fields), headers=headers))

    def _sent(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**self._headers, **({"Cookie": cookies} if cookies else {})}

    def _keep(self, answer: Any) -> Any:
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, rest = cookie.partition("=")
            value = rest.partition(";")[0]
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer
