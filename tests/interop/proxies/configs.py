"""How each proxy is set up and started: in the foreground, on the loopback, with a file of ours."""

from __future__ import annotations

from pathlib import Path

import setup

# The programs, and the packages of Debian that they are in.
PROGRAMS = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "tinyproxy": "tinyproxy",
    "microsocks": "microsocks",
}


def nginx(bench, own: int, target: int, secure: bool = False) -> list[str]:
    folder = bench.folder
    tls = f"ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;"
    text = f"""
        daemon off;
        pid {folder}/nginx.pid;
        error_log stderr;
        worker_processes 1;
        events {{ worker_connections 64; }}
        http {{
            access_log off;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
            server {{
                listen 127.0.0.1:{own} {"ssl" if secure else ""};
                {tls if secure else ""}
                location / {{
                    proxy_pass http://127.0.0.1:{target};
                    proxy_bind 127.0.0.7;
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection $connection_upgrade;
                    proxy_set_header Host $host;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                }}
            }}
        }}
    """
    path = _write(bench, "nginx.conf", text)
    return [_program("nginx"), "-e", "stderr", "-p", str(folder), "-c", path]


def haproxy(bench, own: int, target: int, secure: bool = False) -> list[str]:
    tls = _haproxy_tls(bench) if secure else ""
    return _haproxy(bench, own, "http", tls, f"127.0.0.1:{target} source 127.0.0.7")


def haproxy_tcp(bench, own: int, target: int, version: str) -> list[str]:
    return _haproxy(bench, own, "tcp", "", f"127.0.0.1:{target} source 127.0.0.7 {version}")


def haproxy_to_http2(bench, own: int, target: int) -> list[str]:
    return _haproxy(bench, own, "http", "", f"127.0.0.1:{target} proto h2 ws h2")


def haproxy_of_http2(bench, own: int, target: int, both: bool) -> list[str]:
    tls = _haproxy_tls(bench) + " alpn h2,http/1.1"
    return _haproxy(bench, own, "http", tls, f"127.0.0.1:{target}{' proto h2 ws h2' if both else ''}")


def _haproxy_tls(bench) -> str:
    pem = bench.folder / "both.pem"
    pem.write_bytes(b"".join((bench.folder / f).read_bytes() for f in ("chain.pem", "key.pem")))
    return f"ssl crt {pem}"


def _haproxy(bench, own: int, mode: str, bind: str, server: str) -> list[str]:
    text = f"""
defaults
    mode {mode}
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
    {"option forwardfor" if mode == "http" else ""}
frontend front
    bind 127.0.0.1:{own} {bind}
    default_backend back
backend back
    server motorway {server}
"""
    return [_program("haproxy"), "-db", "-f", _write(bench, "haproxy.cfg", text)]


def tinyproxy(bench, own: int) -> list[str]:
    text = f"""
Port {own}
Listen 127.0.0.1
Bind 127.0.0.7
Timeout 60
MaxClients 20
Allow 127.0.0.0/8
BasicAuth ada secret
LogLevel Connect
"""
    return [_program("tinyproxy"), "-d", "-c", _write(bench, "tinyproxy.conf", text)]


def microsocks(bench, own: int) -> list[str]:
    login = ["-u", "ada", "-P", "secret"]
    return [_program("microsocks"), "-i", "127.0.0.1", "-p", str(own), "-b", "127.0.0.7", *login]


def _program(name: str) -> str:
    return setup.program(name, PROGRAMS[name])


def _write(bench, name: str, text: str) -> str:
    path: Path = bench.folder / name
    path.write_text(text)
    return str(path)
