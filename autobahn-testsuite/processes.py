"""Child processes that are sure to be ended, with all they started.

Each is the leader of a process group of its own and logs to a file. `end_all`
ends whatever still runs; nothing is ever ended by name.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path


class Stopped(Exception):
    """The run was called off."""


class Process:
    """A running command; its output, both streams, goes to `log`."""

    def __init__(self, command: list[str], log: Path, name: str):
        self.name = name
        self.log = log
        self.command = command
        with _lock:
            if _stopping.is_set():
                raise Stopped
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            with log.open("wb") as output:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
            _running.add(self)

    def status(self) -> int | None:
        """The exit status, negative for a signal; `None` while it runs."""
        return self._child.poll()

    def output(self) -> str:
        """All it has printed so far."""
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 15) -> str:
        """The end of its output, indented, under a line that names it."""
        last = [line[:300] for line in self.output().splitlines()[-lines:]] or ["(no output)"]
        return "\n".join([f"  {self.name} ({self.log}):", *("    | " + line for line in last)])

    def end(self, grace: float = 5.0) -> None:
        """Ends its process group: politely, and by force after `grace` seconds."""
        self._signal_group(signal.SIGTERM)
        try:
            self._child.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        self._signal_group(signal.SIGKILL)
        self._child.wait()
        with _lock:
            _running.discard(self)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._child.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # Nobody of the group is left.


def check_not_stopped() -> None:
    """Raises `Stopped` once `end_all` was called."""
    if _stopping.is_set():
        raise Stopped


def pause(seconds: float) -> None:
    """Sleeps, unless or until the run is called off: then raises `Stopped`."""
    if _stopping.wait(seconds):
        raise Stopped


def end_all() -> None:
    """Ends every process still running and lets none start any more."""
    with _lock:
        _stopping.set()
        processes = list(_running)
    for process in processes:
        process.end(grace=2.0)


def is_any_running() -> bool:
    """Whether a process was started and not yet ended."""
    with _lock:
        return bool(_running)


def split_command(template: str, **values: str) -> list[str]:
    """Splits a command as a shell does and fills in `{name}` where it occurs."""
    words = shlex.split(template)
    for name, value in values.items():
        words = [word.replace("{" + name + "}", value) for word in words]
    return words


def quote(path: str) -> str:
    """Quotes a path so that `split_command` leaves it whole."""
    return shlex.quote(path)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on this loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def deadline(seconds: float) -> float:
    """The moment so many seconds from now, on the monotonic clock."""
    return time.monotonic() + seconds


def is_past(moment: float) -> bool:
    """Whether a `deadline` has passed."""
    return time.monotonic() > moment


_lock = threading.Lock()
_running: set[Process] = set()
_stopping = threading.Event()
