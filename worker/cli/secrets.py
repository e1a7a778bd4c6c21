"""Passwords never reach a terminal or a log.

Sentences about services are made without them. This is the last line of defence: a URL with an unescaped `/` or `@` in
its password is taken apart wrongly, and what then looks like a host or a port is a piece of the password. Whose setting
a URL is does not matter: the modules of ONELANE_TASKS have some of their own.
"""

import os
import re
from urllib.parse import unquote

URL = "_URL"
"""How the names of such variables end."""
PASSWORD = re.compile(r"://[^:@/]*:(.+)@|\bpassword=([^&\s]+)")


def without_passwords(text: str) -> str:
    """The text, with a `…` for each piece of a password that stands in the URL of a variable."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _secrets() -> set[str]:
    urls = (value for name, value in os.environ.items() if name.endswith(URL))
    matches = [match for url in urls for match in PASSWORD.finditer(url)]
    found = [secret for match in matches for secret in match.groups() if secret]
    whole = {form for secret in found for form in (secret, unquote(secret))}
    return whole | {piece for secret in found for piece in re.split(r"[/@:?#]", secret) if len(piece) > 2}
