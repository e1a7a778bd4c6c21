"""A job kind: its payload, its lane, its one statement, and the sentence for each outcome code.

A kind is a subclass of `Job` in any module that `ONELANE_TASKS` names:

    class GrantBadge(Job, kind="badge.grant"):
        person: str
        badge: str
        messages = {"granted": "<@{person}> now has {badge}.", "has_it": "<@{person}> already has {badge}."}

        def lane(self) -> str:
            return f"person:{self.person}"

Its statement is the file `sql/badge.grant.sql` beside the module (or the class attribute `sql`). The statement is
set-based: it gets all jobs of this kind in a round at once and answers with one row for each. One job is a set of one.

    %(jobs)s     jsonb array; per job the payload's fields and `_n` int (its number, to be returned), `_job` text (id),
                 `_actor` text, `_reason` text or null, `_at` timestamptz (when it was enqueued)
    %(context)s  jsonb object; `now` (timestamptz as text) and what `context()` returns
    returns      `_n` int, `status` text, `code` text, `before` jsonb, `after` jsonb, `facts` jsonb

`status` is `applied`, `unchanged`, `rejected`, or `wait`: what this job needs may still come on another lane, so the
lane is parked and the job tried again; after the last attempt it is rejected with this code. No two jobs of one round
share a lane, unless the kind `folds`. The statement locks and reads the rows it changes, and writes its audit and
outbox rows: all in one.
"""

import importlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.declaration import check, sql_file
from worker.errors import ConfigurationError, InvalidJob, UnknownKind

Apply = Callable[[Any, list[dict[str, Any]], dict[str, Any]], Iterable[tuple[Any, ...]]]

KINDS: dict[str, type["Job"]] = {}


class Job(BaseModel):
    """An immutable, validated command. Subclass it with `kind=` to declare a job kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)  # JSON knows neither

    kind: ClassVar[str]
    sql: ClassVar[str] = ""
    """The statement; read from `sql/<kind>.sql` beside the module when empty."""
    messages: ClassVar[Mapping[str, str]] = {}
    """Outcome code → sentence for the person, filled with the payload's fields, `actor` and the statement's `facts`."""
    after_dead: ClassVar[Literal["continue", "hold"]] = "continue"
    """What the lane does after a dead letter of this kind."""
    max_attempts: ClassVar[int | None] = None
    """Attempts on transient errors before the job is dead; the setting of the same name when None."""
    apply: ClassVar[Apply | None] = None
    """A static method in place of the statement, for kinds that do more than SQL: (connection, jobs, context) → the
    rows that the statement would return, `before`, `after` and `facts` as JSON texts. It runs in the transaction."""
    merge: ClassVar[bool] = False
    """Whether equal jobs that wait directly behind each other in a lane are applied once (the rest: `merged`)."""
    rest_ms: ClassVar[int] = 0
    """How long a job is left alone after its enqueue, in ms; what is behind it waits too (worker/rest.py)."""
    folds: ClassVar[bool] = False
    """Whether the statement takes several jobs of one lane at once, and answers as if it had applied them one by one in
    the order of `_n`. A row that many jobs change is then written once: a hot lane becomes many times faster."""

    def __init_subclass__(cls, *, kind: str | None = None, **kwargs: Any) -> None:
        """Take the kind; it is looked at below, when pydantic has made the fields."""
        super().__init_subclass__(**kwargs)
        if kind is not None:
            cls.kind = kind

    @classmethod
    def __pydantic_init_subclass__(cls, *, kind: str | None = None, **kwargs: Any) -> None:
        """Register the kind.

        Raises ConfigurationError when it is not declared as it must be (declaration.py), or when another class has it.
        """
        super().__pydantic_init_subclass__(**kwargs)
        if kind is None:
            return
        other = KINDS.get(kind)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ConfigurationError(f"The job kind {kind!r} is declared twice: by {other!r} and {cls!r}.")
        check(cls, kind, Job)
        KINDS[kind] = cls

    @abstractmethod
    def lane(self) -> str:
        """The lane of the entity that this job changes."""

    @classmethod
    def context(cls) -> dict[str, Any]:
        """What the statement needs to know beside the jobs; JSON types only."""
        return {}

    @classmethod
    def message(cls, code: str, facts: Mapping[str, Any]) -> str:
        """The sentence for the person who asked."""
        template = cls.messages.get(code)
        if template is None:
            return f"{cls.kind}: {code.replace('_', ' ')}."
        return template.format_map(_Facts(facts))


class _Facts(dict[str, Any]):
    """A fact that the statement did not give reads as a dash: a poor sentence is better than a lost outcome."""

    def __missing__(self, key: str) -> str:
        return "–"


def load_kinds(modules: Iterable[str]) -> None:
    """Import the modules that declare kinds. Raises ConfigurationError that names the module that can't be imported."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigurationError(f"ONELANE_TASKS names {module!r}, which can't be imported: {error}") from error


def kind_of(name: str) -> type[Job]:
    """The class of a kind. Raises UnknownKind."""
    try:
        return KINDS[name]
    except KeyError:
        known = ", ".join(sorted(KINDS)) or "none"
        raise UnknownKind(f"kind: {name!r} is unknown; known are {known}") from None


def parse(kind: str, payload: Any) -> Job:
    """A validated job from a kind's name and a payload of JSON types. Raises UnknownKind, InvalidJob."""
    cls = kind_of(kind)
    try:
        return cls.model_validate(payload)
    except ValidationError as error:
        raise InvalidJob(f"{kind}: {explain(error)}") from None


def payload_of(job: Job) -> dict[str, Any]:
    """The job's fields as JSON types: what `model_dump(mode="json")` gives, in half the time."""
    payload: dict[str, Any] = job.__pydantic_serializer__.to_python(job, mode="json")
    return payload


def explain(error: ValidationError) -> str:
    """One line that names each wrong field and what was expected; never the value, which may be personal."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'payload'}: {e['msg']}" for e in error.errors(include_url=False)
    )


@cache
def statement(cls: type[Job]) -> str:
    """The kind's SQL."""
    return cls.sql or sql_file(cls).read_text(encoding="utf-8")
