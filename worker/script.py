"""The Lua scripts: one for each transition of a lane, loaded once, called by name.

A script's header is its contract: `include` names the shared pieces that are put before it, `KEYS` and `ARGV` name its
arguments in order. The keys are built from the header, so a caller says only which lane, job or drain it means.
Scripts are called by hash, and all are loaded again when Redis no longer has one; so two releases live side by side,
and none runs in a transaction without the one before it. Every script may be sent twice (a lost reply makes redis-py
repeat a command), and answers from a closed set of words.

Many calls go in one MULTI: Redis reads a pipeline in pieces of 16 kB, and with `appendfsync always` it would sync its
file after each of them.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple, TypeAlias

from redis import Redis
from redis.exceptions import NoScriptError

from worker.lane import Keys

Argument: TypeAlias = str | int | bytes


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text, its hash, and the keys that its header names."""

    text: str
    sha: str
    keys: tuple[str, ...]


@cache
def script(name: str) -> Script:
    """The script of this name, with its shared pieces."""
    folder = resources.files("worker").joinpath("lua")
    body = folder.joinpath(f"{name}.lua").read_text(encoding="utf-8")
    includes = _header(body, "include")
    pieces = [folder.joinpath("include", f"{piece}.lua").read_text(encoding="utf-8") for piece in includes]
    text = "\n".join([*pieces, body])
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), _header(body, "KEYS"))


def _header(body: str, entry: str) -> tuple[str, ...]:
    found = re.search(rf"^-- {entry}: (.+)$", body, re.MULTILINE)
    return tuple(found[1].split()) if found else ()


@cache
def _names() -> list[str]:
    files = resources.files("worker").joinpath("lua").iterdir()
    return [file.name.removesuffix(".lua") for file in files if file.name.endswith(".lua")]


class Call(NamedTuple):
    """One call of a script: its name, its arguments, and of which lane, job or drain its keys are."""

    name: str
    args: Sequence[Argument]
    of: dict[str, str]

    def command(self, keys: Keys) -> list[Argument]:
        """The EVALSHA command."""
        beginning = _beginning(self.name, keys, **self.of) if self.of else _shared_beginning(self.name, keys)
        return [*beginning, *self.args]


def _beginning(name: str, keys: Keys, **of: str) -> list[Argument]:
    found = script(name)
    names = [keys.named(key, **of) for key in found.keys]
    return ["EVALSHA", found.sha, len(names), *names]


_shared_beginning = lru_cache(maxsize=64)(_beginning)
"""Of a script whose keys are all of the partition, and no one's own: a bot builds it once, not for each job."""


def run(redis: Redis, keys: Keys, name: str, *args: Argument, **of: str) -> Any:
    """Call one script and return its answer. Raises redis.RedisError."""
    (answer,) = run_all(redis, keys, [Call(name, args, of)])
    return answer


def run_all(redis: Redis, keys: Keys, calls: Iterable[Call]) -> list[Any]:
    """Call many scripts in one transaction and return their answers, in order. Raises redis.RedisError."""
    calls = list(calls)
    try:
        return _called(redis, keys, calls)
    except NoScriptError:
        for name in _names():
            redis.script_load(script(name).text)
        return _called(redis, keys, calls)


def run_after_pop(redis: Redis, keys: Keys, awaited: str, seconds: float, call: Call) -> Any:
    """Call one script as soon as something could be popped from the list, or the time is over; return its answer.

    Both are sent together, and Redis runs the script in the same turn as the push. Raises redis.RedisError.
    """
    try:
        with redis.pipeline(transaction=False) as pipeline:
            pipeline.blpop([awaited], timeout=seconds)
            pipeline.execute_command(*call.command(keys))  # type: ignore[no-untyped-call]  # redis-py has no types here
            _, answer = pipeline.execute()
            return answer
    except NoScriptError:
        return run_all(redis, keys, [call])[0]


def _called(redis: Redis, keys: Keys, calls: list[Call]) -> list[Any]:
    if len(calls) == 1:
        return [redis.execute_command(*calls[0].command(keys))]  # type: ignore[no-untyped-call]  # redis-py has no types here
    with redis.pipeline(transaction=True) as pipeline:
        for call in calls:
            pipeline.execute_command(*call.command(keys))  # type: ignore[no-untyped-call]  # nor here
        return pipeline.execute()
