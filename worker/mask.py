"""The mask: what a monitor is shown in place of personal data.

Every text that may be somebody's becomes a pseudonym, a keyed hash of it: the same text is the same pseudonym in each
job, on each worker, so what belongs together is still found together; but nobody gets from it to the person without
the key. What says what happened stays: kind, id, outcome, times, numbers, the class of an error, and which sort of
entity a lane is (`user:~5f0c…`). What an error says may hold anything, so it is left out; `onelane job ID` has it.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Any

from worker.verdict import Failure


class Mask:
    """Pseudonyms under one key."""

    def __init__(self, key: str) -> None:
        self._key = blake2b(key.encode()).digest()
        self.text = lru_cache(maxsize=10_000)(self._pseudonym)
        """The pseudonym of one text."""

    def lane(self, name: str) -> str:
        """A lane's name with its sort of entity, and whose it is as a pseudonym."""
        sort, colon, entity = name.partition(":")
        return f"{sort}:{self.text(entity)}" if colon else sort

    def payload(self, value: Any) -> Any:
        """A payload with pseudonyms for all its texts; the names of its fields stay."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {name: self.payload(each) for name, each in value.items()}
            case list():
                return [self.payload(each) for each in value]
            case _:
                return value

    def error(self, failure: Failure, job_id: str) -> str:
        """What kind of error it was, and where it says more."""
        known = ", ".join(filter(None, (failure.sqlstate, failure.constraint)))
        return f"{failure.error_class}{known and f' ({known})'}: `onelane job {job_id}` says more"

    def _pseudonym(self, text: str) -> str:
        return f"~{blake2b(text.encode(), key=self._key, digest_size=6).hexdigest()}"
