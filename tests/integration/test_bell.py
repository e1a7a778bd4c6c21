"""A process that forks while one of its threads rings: the child must not find kombu's locks closed for ever."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from worker.bell import ring
from worker.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def mute_broker() -> Iterator[socket.socket]:
    """A broker that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def test_a_fork_waits_until_the_bell_has_been_rung(
    mute_broker: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = mute_broker.getsockname()
    settings = Settings(redis_url=f"redis://{host}:{port}/0", redis_timeout_ms=300)
    with caplog.at_level(logging.WARNING, "worker.bell"):
        thread = threading.Thread(target=ring, args=(settings,))
        thread.start()
        connection, _ = mute_broker.accept()  # now the thread is in the midst of kombu
        with connection:
            child = os.fork()
            if child == 0:
                os._exit(len(caplog.messages))
            _, status = os.waitpid(child, 0)
            thread.join()
    assert os.waitstatus_to_exitcode(status) == 1, "the child was forked while the thread rang"
    assert caplog.messages == ["The bell could not be rung (OperationalError); a worker's timer will."]


def test_a_broker_that_is_away_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        began = time.monotonic()
        ring(Settings(redis_url=f"redis://127.0.0.1:{nobody.getsockname()[1]}/0", redis_timeout_ms=2000))
        assert time.monotonic() - began < 1.5
    assert caplog.messages == ["The bell could not be rung (OperationalError); a worker's timer will."]


def test_a_child_can_ring_and_fork_itself() -> None:
    child = os.fork()
    if child == 0:
        ring(Settings(redis_url="redis://127.0.0.1:1/0"))
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(7)
        _, status = os.waitpid(grandchild, 0)
        os._exit(os.waitstatus_to_exitcode(status))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
