"""Whether what is there is what shall be: the one judgement that `up` acts on and `verify` proves."""

import re

from tasks.adopt.catalog import ConstraintFact, IndexFact, meaning
from tasks.adopt.target import TOUCH, Rule, Table, Unique


def is_rule(fact: ConstraintFact, rule: Unique | Rule) -> bool:
    """Whether a constraint means what the rule says."""
    return _by_any(meaning(fact.definition)) == _by_any(meaning(rule.definition))


def belongs(fact: IndexFact, table: Table) -> bool:
    """Whether an index that is no constraint may stay.

    It is one of the final ones, or an index of somebody's own: no unique one, as the upserts know nothing of it, and
    none that repeats a key or the beginning of one.
    """
    keys = {key.name: key.key for key in table.keys}
    if fact.name in keys:
        unique = any(key.name == fact.name for key in table.uniques)
        return fact.valid and (fact.key, fact.unique) == (keys[fact.name], unique)
    return not fact.unique and not any(_begins(key, fact.key) for key in (f"btree ({table.key})", *keys.values()))


def is_touch(source: str) -> bool:
    """Whether the body of a trigger function is the one that keeps `updated_at`."""
    return "".join(source.split()) in "".join(TOUCH.split())


def _begins(key: str, beginning: str) -> bool:
    return key == beginning or key.startswith(beginning.removesuffix(")") + ",")


def _by_any(text: str) -> str:
    """PostgreSQL stores `x IN (…)` as `x = ANY (ARRAY[…])`."""
    return re.sub(r"IN('.*')$", r"=ANYARRAY[\1]", text)
