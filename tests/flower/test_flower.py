"""A real Flower shows every job on its page, by filter, by search and through its API, and its button cancels jobs."""

import html
import re

import psycopg

from tests.flower.books import Lend
from tests.flower.dashboard import Dashboard
from tests.operations.conftest import until
from worker.client import Client, Handle
from worker.intervention import Interventions
from worker.skip import Skipper

ANN, BOB = "U0EXAMPLE01", "U0EXAMPLE02"
EMPTY = {"args": "()", "eta": None, "expires": None, "exchange": None, "routing_key": None, "client": None}


def lend(client: Client, book: str, person: str = ANN, **more: str) -> Handle:
    return client.enqueue(Lend(book=book, person=person), actor=BOB, **more)


def lock(connection: psycopg.Connection, book: str) -> None:
    """Whoever wants to lend this book has to wait, until `connection` rolls back."""
    connection.execute("INSERT INTO loans VALUES (%s, 'U0LOCK')", [book])


def shown(dashboard: Dashboard, handle: Handle, state: str) -> dict[str, object]:
    """The job in Flower, as soon as it is in this state."""
    until(lambda: dashboard.state(handle.id) == state)
    return dashboard.task(handle.id)


def test_every_outcome_is_shown_with_kind_lane_actor_attempt_runtime_and_drain(
    dashboard: Dashboard, client: Client
) -> None:
    expected = {}
    for person, result in ((ANN, "applied: lent"), (ANN, "unchanged: has_it"), (BOB, "rejected: lent_to_another")):
        handle = lend(client, "Sanditon", person)
        expected[handle.id] = (person, result)
        handle.wait(20)
    until(lambda: expected.keys() <= dashboard.json("/api/tasks").keys())
    for job_id, (person, result) in expected.items():
        task = dashboard.task(job_id)
        assert (task["name"], task["state"], task["result"], task["retries"]) == ("book.lend", "SUCCESS", result, 0)
        assert dashboard.kwargs(job_id) == {
            "lane": "book:Sanditon",
            "actor": BOB,
            "attempt": 1,
            "payload": {"book": "Sanditon", "person": person},
        }
        assert (task["exception"], task["traceback"], task["failed"]) == (None, None, None)
        assert {name: task[name] for name in EMPTY} == EMPTY
        assert 0 < task["runtime"] < 10
        assert task["worker"].split("@")[0] in {"w1", "w2"}
        drain = dashboard.task(task["parent_id"])
        assert (task["parent"], task["root_id"]) == (task["parent_id"], task["parent_id"])
        assert (drain["name"], drain["worker"]) == ("onelane.drain", task["worker"])


def test_a_dead_letter_is_shown_with_its_error_and_where_it_came_from(dashboard: Dashboard, client: Client) -> None:
    handle = lend(client, "untitled")
    task = shown(dashboard, handle, "FAILURE")
    assert (task["result"], task["retries"]) == ("dead: permanent", 0)
    assert str(task["exception"]).splitlines()[0] == (
        'CheckViolation: new row for relation "loans" violates check constraint "books_have_titles"'
    )
    assert str(task["traceback"]).startswith("Traceback (most recent call last):\n")
    assert "worker/batch.py" in str(task["traceback"])
    assert handle.wait(0).status == "dead"


def test_a_retried_job_counts_its_attempts_and_ends_like_any_other(
    dashboard: Dashboard, client: Client, connection: psycopg.Connection
) -> None:
    lock(connection, "Ulysses")
    handle = lend(client, "Ulysses")
    task = shown(dashboard, handle, "RETRY")
    error = "LockNotAvailable: canceling statement due to lock timeout"
    assert str(task["exception"]).splitlines()[0] == error
    assert error in str(task["traceback"])
    operator = Interventions(client.redis, client.settings, BOB)
    assert operator.retry_now("book:Ulysses") == "due"
    until(lambda: dashboard.state(handle.id) == "RETRY" and dashboard.task(handle.id)["retries"] == 1)
    connection.rollback()
    assert operator.retry_now("book:Ulysses") == "due"
    task = shown(dashboard, handle, "SUCCESS")
    assert (task["result"], task["retries"]) == ("applied: lent", 2)
    assert dashboard.kwargs(handle.id)["attempt"] == 3


def test_jobs_are_found_by_kind_state_lane_actor_payload_and_outcome(dashboard: Dashboard, client: Client) -> None:
    mine, others = lend(client, "Persuasion"), lend(client, "Middlemarch")
    late = lend(client, "Persuasion", BOB)
    for handle in (mine, others, late):
        shown(dashboard, handle, "SUCCESS")
    both = {mine.id, late.id}
    assert both | {others.id} <= dashboard.json("/api/tasks", taskname="book.lend", state="SUCCESS").keys()
    assert dashboard.json("/api/tasks", taskname="book.lend", state="STARTED") == {}
    assert dashboard.json("/api/tasks", search="kwargs:lane=book:Persuasion").keys() == both
    assert dashboard.json("/api/tasks", search=f"kwargs:actor={BOB} kwargs:Persuasion").keys() == both
    assert dashboard.json("/api/tasks", search="Persuasion result:rejected").keys() == {late.id}
    assert dashboard.json("/api/tasks", search=late.id).keys() == {late.id}
    table = {"draw": "1", "start": "0", "length": "10", "order[0][column]": "0", "columns[0][data]": "name"}
    rows = dashboard.json("/tasks/datatable", **table, **{"search[value]": "Persuasion"})["data"]
    assert {row["uuid"] for row in rows} == both


def test_the_task_page_says_it_all(dashboard: Dashboard, client: Client) -> None:
    handle = lend(client, "untitled", "<b>Ann</b>")
    task = shown(dashboard, handle, "FAILURE")
    page = dashboard.get(f"/task/{handle.id}")
    said = html.unescape(re.sub(r"<[^>]+>", "", page))
    for each in ("book.lend", "FAILURE", "book:untitled", BOB, "'attempt': 1", "dead: permanent", task["parent_id"]):
        assert str(each) in said
    assert "books_have_titles" in said
    assert "Traceback (most recent call last)" in said
    assert f'href="/task/{task["parent_id"]}"' in page
    assert "<b>Ann</b>" not in page


def test_workers_stay_online_while_a_job_takes_longer_than_a_heartbeat_may(
    dashboard: Dashboard, client: Client, connection: psycopg.Connection
) -> None:
    """Flower takes a worker for offline when it has heard nothing of it for two heartbeats."""
    connection.autocommit = True
    connection.execute("INSERT INTO sought VALUES ('Walden')")
    handle = lend(client, "Walden")
    until(lambda: client.redis.zscore(client.keys.named("claimed"), "book:Walden"))
    before = dashboard.heartbeats()
    both_online = True

    def heard_of_all() -> bool:
        nonlocal both_online
        both_online = both_online and dashboard.online() == {"w1", "w2"}
        now = dashboard.heartbeats()
        return all(now[name] >= count + 3 for name, count in before.items())

    until(heard_of_all)
    assert both_online
    assert client.redis.zscore(client.keys.named("claimed"), "book:Walden")
    connection.execute("DELETE FROM sought")
    assert handle.wait(20).code == "lent"
    assert float(str(shown(dashboard, handle, "SUCCESS")["runtime"])) > 3


def test_flower_asks_for_a_password(dashboard: Dashboard, client: Client) -> None:
    handle = lend(client, "Emma")
    shown(dashboard, handle, "SUCCESS")
    for path in ("/", "/workers", "/tasks", "/api/tasks", f"/task/{handle.id}", f"/api/task/info/{handle.id}"):
        assert [dashboard.code(path, password) for password in (None, "wrong", dashboard.password)] == [401, 401, 200]


def test_a_head_that_a_person_skipped_ends_here_too_and_the_person_is_no_worker(
    dashboard: Dashboard, client: Client, connection: psycopg.Connection
) -> None:
    lock(connection, "Iliad")
    tried, untried = lend(client, "Iliad"), lend(client, "Iliad", BOB)
    shown(dashboard, tried, "RETRY")
    skipper = Skipper(client.redis, connection, client.settings, ANN)
    connection.rollback()
    Interventions(client.redis, client.settings, ANN).hold("book:Iliad", "to look at it", None)
    for handle in (tried, untried):
        skipper.skip("book:Iliad", "it is lost", 5)
        task = shown(dashboard, handle, "FAILURE")
        assert (task["exception"], task["result"], task["retries"]) == (
            *(f"Skipped: skipped by {ANN}: it is lost", "dead: skipped"),
            0,
        )
    workers = dashboard.json("/workers", json="1")["data"]
    assert {worker["hostname"].split("@")[0] for worker in workers} == {"w1", "w2"}
