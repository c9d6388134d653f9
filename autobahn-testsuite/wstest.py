"""Finds or makes a `wstest` that runs: a Python 2.7 virtualenv, else Docker.

The suite needs CPython 2.7 and, for `wsaccel`, a C compiler. The virtualenv is
made once and kept, under a name that holds a hash of `requirements.txt` and of
the interpreter. Without Python 2.7 the suite's Docker image is used, if an
engine answers.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Missing(Exception):
    """This machine lacks something to run the suite with; the text says what."""


class SetupFailed(Exception):
    """All that is needed is there, yet the virtualenv could not be made."""


@dataclass(frozen=True)
class Suite:
    """A way to start `wstest`."""

    description: str
    prefix: list[str] = field(repr=False)

    def command(self, mode: str, config: Path) -> list[str]:
        """The command for a mode of `wstest`; paths in the config must be absolute."""
        command = [*self.prefix, "--mode", mode, "--spec", str(config)]
        # Off: the web page of the fuzzing server, which would need a port of its own.
        return [*command, "--webport", "0"] if mode == "fuzzingserver" else command


def find(venv: Path, reports: Path, python: str | None = None) -> Suite:
    """Finds `wstest`, making the virtualenv in `venv` if need be.

    Raises `Missing` if this machine cannot run it, `SetupFailed` if it should.
    """
    interpreter = find_python2(python)
    compiler = interpreter and find_compiler(interpreter)
    if interpreter and compiler:
        return virtualenv_suite(venv, interpreter)
    if docker_answers():
        return docker_suite(reports)
    if interpreter:
        raise Missing("Python 2.7 is here, but no C compiler to build wsaccel: install gcc")
    raise Missing("install CPython 2.7 (for example `pyenv install 2.7.18`) or start Docker")


def find_python2(named: str | None = None) -> Path | None:
    """Finds a CPython 2.7 that starts, on PATH or under pyenv.

    What is on PATH may be a pyenv shim for a version that is not switched on:
    so each candidate is asked, and its own word for where it is counts.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [named] if named else [shutil.which("python2.7"), shutil.which("python2")]
    if not named:
        candidates += sorted(pyenv.glob("versions/2.7.*/bin/python2.7"), reverse=True)
    question = (
        "import platform, sys; "
        "sys.stdout.write(platform.python_implementation() + ' %d.%d ' % sys.version_info[:2]"
        " + sys.executable)"
    )
    for candidate in filter(None, candidates):
        answer = _answer([str(candidate), "-c", question])
        if answer and answer.startswith("CPython 2.7 "):
            return Path(answer.split(" ", 2)[2])
    return None


def find_compiler(python2: Path) -> str | None:
    """Finds the C compiler that this interpreter builds its extensions with."""
    question = "import sysconfig; print(sysconfig.get_config_var('CC') or 'cc')"
    compiler = os.environ.get("CC") or _answer([str(python2), "-c", question]) or "cc"
    return shutil.which(compiler.split()[0])


def virtualenv_suite(venv: Path, python2: Path) -> Suite:
    """Makes the virtualenv unless it is there and works; safe to run twice at once."""
    requirements = HERE / "requirements.txt"
    key = hashlib.sha256(requirements.read_bytes() + str(python2).encode()).hexdigest()[:12]
    venv.mkdir(parents=True, exist_ok=True)
    home = venv.resolve() / f"wstest-{key}"
    suite = Suite(f"wstest {VERSION} on CPython 2.7", [str(home / "bin" / "wstest")])
    with (venv / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _works(home):
            print(f"installing wstest {VERSION} for {python2}", file=sys.stderr, flush=True)
            shutil.rmtree(home, ignore_errors=True)
            _create_virtualenv(home, python2)
            _run([str(home / "bin" / "python"), *PIP_INSTALL, "--no-deps", "-r", str(requirements)])
            if not _starts(home):
                raise SetupFailed(f"wstest does not start in {home}")
            (home / "complete").touch()
    return suite


def docker_answers() -> bool:
    """Whether there is a Docker engine to talk to."""
    return shutil.which("docker") is not None and _answer(DOCKER_QUESTION) is not None


def docker_suite(reports: Path) -> Suite:
    """The suite's own image, which sees the reports and the host's network.

    Needs an engine on Linux, where a container can share the host's loopback.
    Never tried by the authors, who had no engine: take the first run with care.
    """
    reports = reports.resolve()
    user = f"{os.getuid()}:{os.getgid()}"
    prefix = ["docker", "run", "--rm", "--init", "--network", "host", "--user", user]
    prefix += ["--env", "PYTHONUNBUFFERED=1", "--volume", f"{reports}:{reports}"]
    return Suite(f"wstest in {IMAGE}", [*prefix, IMAGE, "wstest"])


def _create_virtualenv(home: Path, python2: Path) -> None:
    """Creates an empty environment for Python 2.7.

    `virtualenv` dropped 2.7 in 20.22. An older one is fetched into a throw-away
    environment, of this Python or, if that has no `venv`, by the pip of 2.7.
    """
    with tempfile.TemporaryDirectory(prefix="virtualenv-") as scratch:
        modern = Path(scratch) / "3"
        legacy = Path(scratch) / "2"
        try:
            _run([sys.executable, "-m", "venv", str(modern)])
            _run([str(modern / "bin" / "python"), *PIP_INSTALL, "virtualenv<20.22"])
            creator = [str(modern / "bin" / "python")]
            _run([*creator, "-m", "virtualenv", *VIRTUALENV, "-p", str(python2), str(home)])
        except SetupFailed as first:
            shutil.rmtree(home, ignore_errors=True)
            try:
                target = ["--target", str(legacy), "virtualenv<20.16"]
                _run([str(python2), *PIP_INSTALL, *target])
                environment = {**os.environ, "PYTHONPATH": str(legacy)}
                _run([str(python2), "-m", "virtualenv", *VIRTUALENV, str(home)], environment)
            except SetupFailed as second:
                raise SetupFailed(f"no virtualenv for Python 2.7:\n{first}\n{second}") from None


def _works(home: Path) -> bool:
    return (home / "complete").exists() and _starts(home)


def _starts(home: Path) -> bool:
    # wsaccel is looked for by name: without it wstest silently runs far slower.
    accelerated = _answer([str(home / "bin" / "python"), "-c", "import wsaccel.xormask; print(1)"])
    versions = _answer([str(home / "bin" / "wstest"), "--autobahnversion"]) or ""
    return accelerated is not None and VERSION in versions


def _answer(command: list[str]) -> str | None:
    """What a command prints, or `None` if it fails or takes longer than 20 seconds."""
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.decode(errors="replace").strip()


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Runs a command of the set-up; `SetupFailed` has the end of its output."""
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        check=False,
    )
    if result.returncode != 0:
        tail = "\n".join(result.stdout.decode(errors="replace").splitlines()[-15:])
        raise SetupFailed(f"{' '.join(command)} failed:\n{tail}")


VERSION = "25.10.1"
IMAGE = f"crossbario/autobahn-testsuite:{VERSION}"
PIP_INSTALL = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
VIRTUALENV = ["--quiet", "--no-download"]
DOCKER_QUESTION = ["docker", "version", "--format", "{{.Server.Version}}"]
