"""nginx and Caddy as processes of their own, configured by the very text of docs/behind-a-proxy.md.

What is replaced in it is what differs from machine to machine: ports, certificates, and the names of the host.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.e2e.server import free_port
from tests.needs import lacking

__all__ = ["AT_ROOT", "CADDY", "NGINX", "Proxy", "caddy", "nginx"]

PAGE = (Path(__file__).parents[2] / "docs" / "behind-a-proxy.md").read_text()

WHOLE, KEPT, STRIPPED = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
CADDY = dict(zip(("", "kept", "stripped"), re.findall(r"```caddy\n(.*?)```", PAGE, re.DOTALL), strict=True))

AT_ROOT = "    location / {\n        proxy_pass http://greenroom;\n    }\n"
NGINX = {"": WHOLE, "kept": WHOLE.replace(AT_ROOT, KEPT), "stripped": WHOLE.replace(AT_ROOT, STRIPPED)}
"""By how the prefix is treated; at the root without one."""

START_SECONDS = 15.0

AROUND = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/nginx.log info;
worker_processes 1;
worker_shutdown_timeout 1s;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {text}
}}
"""


class Proxy:
    """A proxy that runs; `authority` is the certificate that its clients must believe, if it speaks TLS."""

    def __init__(self, command: list[str], url: str, folder: Path, authority: Path | None) -> None:
        self.url = url
        self.authority = authority
        said = folder / "proxy.out"
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}  # where Caddy keeps what it was told
        with said.open("w") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment)
        try:
            self._wait_listening(int(url.rpartition(":")[2]))
        except AssertionError:
            self.kill()
            raise AssertionError(f"{command[0]} does not listen: {said.read_text()}") from None

    def _wait_listening(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def reload(self) -> None:
        """As `nginx -s reload` does it; new connections are for the new worker."""
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        self._process.terminate()
        self._process.wait(START_SECONDS)


def nginx(text: str, upstream: str, folder: Path) -> Proxy:
    """It, with this text of the page and the server at the address `upstream` behind it."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        lacking("nginx (apt-get install nginx-light)")
    folder.mkdir()
    pem, key, port = *_certificate(folder), free_port()
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("127.0.0.1:3000", upstream),
        ("/etc/ssl/agents.example.com.pem", str(pem)),
        ("/etc/ssl/agents.example.com.key", str(key)),
    ):
        assert old in text, f"{old} is not on the page any more"
        text = text.replace(old, new)
    file = folder / "nginx.conf"
    # Who starts it as root gets workers that cannot look into the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text(AROUND.format(folder=folder, text=text, user=user))
    return Proxy([program, "-p", str(folder), "-c", str(file)], f"https://localhost:{port}", folder, pem)


def caddy(text: str, upstream: str, folder: Path) -> Proxy:
    """It, by http on a port of its own."""
    program = shutil.which("caddy")
    if program is None:
        lacking("Caddy (apt-get install caddy)")
    folder.mkdir()
    url = f"http://localhost:{free_port()}"
    site = re.sub(r"^\S*example.com \{", f"{url} {{", text).replace("127.0.0.1:3000", upstream)
    assert url in site
    assert upstream in site
    (folder / "Caddyfile").write_text(f"{{\n    admin off\n    auto_https off\n}}\n{site}")
    command = [program, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    return Proxy(command, url, folder, None)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """One for this machine, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        lacking("openssl (apt-get install openssl)")
    pem, key = folder / "cert.pem", folder / "key.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", *kind, *names, "-keyout", str(key), "-out", str(pem)]
    subprocess.run(command, check=True, capture_output=True)
    return pem, key
