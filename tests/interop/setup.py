"""Installs the peers below a folder that git does not see, once for each list of versions."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / "target" / "interop"

sys.path.insert(0, str(ROOT / "autobahn-testsuite"))
import processes  # noqa: E402


class Failed(Exception):
    """Something could not be installed or built; the text says what."""


class LeftOut(Exception):
    """This machine lacks a program that is not ours to install; the text says which."""


def main(run) -> int:
    """Runs a runner and returns its exit status; ends all that it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run()
    except LeftOut as left_out:
        print(f"LEFT OUT: {left_out}", file=sys.stderr)
        return 3
    except Failed as failed:
        print(f"failed: {failed}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, processes.Stopped):
        return 130
    finally:
        processes.end_all()


def wait_for(process: processes.Process, pattern: str) -> str:
    """Waits until a process prints a line like this; returns what the group of the pattern holds."""
    limit = processes.deadline(30)
    while True:
        if found := re.search(pattern, process.output(), re.MULTILINE):
            return found[1]
        if process.status() is not None or processes.is_past(limit):
            raise Failed(f"it did not print {pattern}\n{process.tail()}")
        processes.pause(0.02)


def python(cache: Path) -> Path:
    """An interpreter that has the peers in Python."""
    requirements = HERE / "requirements.txt"
    home = cache / f"python-{_key(requirements, salt=sys.version)}"
    if not (home / "complete").exists():
        print("installing the peers in Python", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "--no-input", "--retries", "5", "--no-deps"]
        _run([*pip, "-r", str(requirements)])
        (home / "complete").touch()
    return home / "bin" / "python"


def node(cache: Path) -> Path:
    """A folder with the peers in JavaScript, and the scripts beside them."""
    if shutil.which("npm") is None:
        raise Failed("the peers in JavaScript need Node 20 or newer, with npm")
    lock = HERE / "package-lock.json"
    home = cache / f"node-{_key(lock)}"
    if not (home / "complete").exists():
        print("installing the peers in JavaScript", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for file in (HERE / "package.json", lock):
            shutil.copy(file, home)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], home)
        (home / "complete").touch()
    # A script finds packages from where it is.
    for script in HERE.glob("*/*.mjs"):
        shutil.copy(script, home)
    return home


def program(name: str, package: str) -> str:
    """Where a program of the system is."""
    # Servers are where only root looks by itself.
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise LeftOut(f"{name} is not installed; Debian has it in the package {package}")
    return path


def examples(*names: str) -> dict[str, str]:
    """Builds programs of this crate; returns where cargo has put them."""
    flags = [word for name in names for word in ("--example", name)]
    command = ["cargo", "build", "--features", "axum,http2,json,nats,redis,rustls"]
    command += ["--message-format=json-render-diagnostics"]
    built = subprocess.run([*command, *flags], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        raise Failed(f"{' and '.join(names)} did not build")
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    return {
        message["target"]["name"]: message["executable"]
        for message in messages
        if message.get("reason") == "compiler-artifact" and message.get("executable")
    }


def certificates(interpreter: Path, folder: Path) -> None:
    """Makes `ca.pem`, `chain.pem` and `key.pem` for localhost, and `stranger.pem`, another CA."""
    _run([str(interpreter), str(HERE / "certificates.py"), str(folder)])


def _key(file: Path, salt: str = "") -> str:
    return hashlib.sha256(file.read_bytes() + salt.encode()).hexdigest()[:12]


def _run(command: list[str], folder: Path | None = None) -> None:
    result = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if result.returncode != 0:
        tail = "\n".join(result.stdout.decode(errors="replace").splitlines()[-20:])
        raise Failed(f"{' '.join(command)} failed:\n{tail}")
