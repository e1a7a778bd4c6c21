"""Passwords never reach a terminal or a log.

Sentences about services are made without them. This is the last line of defence: a URL with an unescaped `/` or `@` in
its password is taken apart wrongly, and what then looks like a host or a port is a piece of the password.
"""

import os
import re
from urllib.parse import unquote

URLS = ("ONELANE_REDIS_URL", "ONELANE_DATABASE_URL", "ONELANE_BROKER_URL")
PASSWORD = re.compile(r"://[^:@/]*:(.+)@|\bpassword=([^&\s]+)")


def without_passwords(text: str) -> str:
    """The text, with a `…` for each piece of a password that stands in a configured URL."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _secrets() -> set[str]:
    matches = [match for name in URLS for match in PASSWORD.finditer(os.environ.get(name, ""))]
    found = [secret for match in matches for secret in match.groups() if secret]
    whole = {form for secret in found for form in (secret, unquote(secret))}
    return whole | {piece for secret in found for piece in re.split(r"[/@:?#]", secret) if len(piece) > 2}
