"""The filter: each condition alone, all together, the order, and chunks."""

from functools import partial
from itertools import product
from typing import Any

import pytest

from tests.dead_letters.conftest import bury
from tests.integration.kinds import Engrave, Write
from tests.integration.notebook import Notebook
from worker.dead_letters import Filter, count, lines, stats
from worker.errors import Refused


@pytest.fixture
def ids(notebook: Notebook) -> list[str]:
    """Four dead letters that differ in everything; the third died two hours ago."""
    jobs = [Write(page="p", text="tea"), Write(page="q", text="cake"), Engrave(page="p", text="tea")]
    found = bury(notebook, jobs)
    found += bury(notebook, [Write(page="r", text="100 % _ \\ ä")], first=9)
    change = "UPDATE onelane.ledger SET {} WHERE job_id = %s"
    for what, job_id in (
        ("error_class = 'KeyError', sqlstate = NULL, code = 'exhausted', error = 'No Such Key'", found[1]),
        ("finished_at = finished_at - interval '2 hours', sqlstate = '23505'", found[2]),
    ):
        notebook.connection.execute(change.format(what).encode(), [job_id])
    return found


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"lane": "page:p"}, [0, 2]),
        ({"lane": "page"}, []),
        ({"kind": "notebook.write"}, [0, 1, 3]),
        ({"code": "exhausted"}, [1]),
        ({"error": "KeyError"}, [1]),
        ({"sqlstate": "22000"}, [0, 3]),
        ({"sqlstate": "22000", "lane": "page:p"}, [0]),
        ({"text": "such key"}, [1]),
        ({"text": "tea"}, [0, 2]),
        ({"text": "% _ \\\\ ä"}, [3]),
        ({"older_than_seconds": 3600}, [2]),
        ({"newer_than_seconds": 3600}, [0, 1, 3]),
        ({"older_than_seconds": 3600, "newer_than_seconds": 3600}, []),
        ({"limit": 2}, [0, 1]),
        ({"lane": "page:p", "limit": 1}, [0]),
        ({"replaying": True}, []),
    ],
    ids=str,
)
def test_a_condition_finds_those_that_fulfil_it(
    notebook: Notebook, ids: list[str], conditions: dict[str, Any], expected: list[int]
) -> None:
    found = Filter(**conditions)
    wanted = [ids[n] for n in expected]
    assert [line.job_id for line in lines(notebook.connection, found)] == wanted
    assert count(notebook.connection, found) == len(wanted)
    assert sum(group.jobs for group in stats(notebook.connection, found)) == len(wanted)


def test_chunks_of_any_size_hold_each_once_in_order(notebook: Notebook, ids: list[str]) -> None:
    for size, limit in product([1, 2, 3, 4, 5], [None, 1, 3, 4, 5]):
        chunks = list(Filter(limit=limit).chunks(notebook.connection, partial(int, size)))
        assert [job_id for chunk in chunks for job_id in chunk] == ids[:limit]
        assert all(1 <= len(chunk) <= size for chunk in chunks)


def test_letters_of_one_number_are_told_apart_by_their_ids(notebook: Notebook) -> None:
    for name in ("c", "a", "b"):
        bury(notebook, [Write(page=name, text="x")], first=0, id=name)
    chunks = list(Filter().chunks(notebook.connection, lambda: 1))
    assert chunks == [["a"], ["b"], ["c"]]


def test_groups_are_counted_by_what_they_died_of(notebook: Notebook, ids: list[str]) -> None:
    found = stats(notebook.connection, Filter())
    seen = [(g.jobs, g.lanes, g.kind, g.code, g.error_class, g.sqlstate, g.example) for g in found]
    assert seen == [
        (2, 2, "notebook.write", "permanent", "DataException", "22000", ids[0]),
        (1, 1, "notebook.engrave", "permanent", "DataException", "23505", ids[2]),
        (1, 1, "notebook.write", "exhausted", "KeyError", None, ids[1]),
    ]


def test_counting_can_stop_early(notebook: Notebook, ids: list[str]) -> None:
    assert count(notebook.connection, Filter(), 3) == 3
    assert count(notebook.connection, Filter(limit=2), 3) == 2
    assert len(ids) == 4


def test_a_condition_that_is_empty_is_refused_and_never_means_everything() -> None:
    for fields in ({"ids": ("",)}, {"lane": ""}, {"kind": ""}, {"text": ""}, {"text": "\0"}, {"error": "\udc80"}):
        with pytest.raises(Refused, match="is no value to look for"):
            Filter(**fields)  # type: ignore[arg-type]  # all of them are texts
    with pytest.raises(Refused, match="limit: expected 1 or more, got 0"):
        Filter(limit=0)
