"""Forms behind real proxies: only the origin of PORTAL_PUBLIC_URL is accepted, whatever a proxy forwards."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from bin.programs import find_program
from tests.support import servers
from tests.support.commands.fork_server_client import ForkServerClient

PUBLIC = "https://portal.example.org"
REFUSED, ACCEPTED = "This form came from another address", "Enter your password."
PROXIES = ("nginx_bare", "nginx_proxy_params", "balancer_and_nginx", "caddy")
_PROXY_PARAMS = """
proxy_set_header Host $host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
"""
"""Debian's /etc/nginx/proxy_params, which loses the port in the Host header."""


@dataclass(frozen=True)
class ProxySetup:
    """The port of each proxy and portal; `at_port` is the proxy whose public URL has a port."""

    ports: dict[str, int]
    at_port: int
    portal: int


@pytest.fixture(scope="module")
def proxy_setup(
    fork_server: ForkServerClient, tmp_path_factory: pytest.TempPathFactory, sqlite_template_file: Path
) -> Iterator[ProxySetup]:
    for name in ("nginx", "caddy"):
        if find_program(name) is None:
            pytest.skip(f"{name} is not installed")
    folder = tmp_path_factory.mktemp("proxies")
    certificate(folder)
    names = (*PROXIES, "nginx_at_port", "behind_balancer", "portal", "portal_at_port")
    ports = {name: servers.free_port() for name in names}
    with ExitStack() as stack:
        for name, public in (("portal", PUBLIC), ("portal_at_port", f"https://127.0.0.1:{ports['nginx_at_port']}")):
            environment = portal_environment(folder / name, sqlite_template_file, public)
            command = ("web", "--port", str(ports[name]), "--processes", "1")
            stack.enter_context(fork_server.running(command, environment, folder / f"{name}.log"))
        stack.enter_context(servers.running_process(nginx(folder, ports)))
        stack.enter_context(servers.running_process(caddy(folder, ports), {"HOME": str(folder)}))
        for name in ("portal", "portal_at_port"):
            servers.wait_for(partial(servers.responds_ok, f"http://127.0.0.1:{ports[name]}/healthz"), name, 60)
        for name in (*PROXIES, "nginx_at_port"):
            servers.wait_for(partial(responds, ports[name]), name)
        yield ProxySetup(ports, ports["nginx_at_port"], ports["portal"])


def certificate(folder: Path) -> None:
    names = "subjectAltName=DNS:portal.example.org,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=portal", "-addext", names]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def portal_environment(folder: Path, template: Path, public_url: str) -> dict[str, str]:
    folder.mkdir()
    shutil.copy(template, folder / "portal.sqlite")
    return {
        **os.environ,
        "PORTAL_INSTANCE": str(folder),
        "PORTAL_REDIS_URL": f"unix://{folder}/missing.sock",
        "PORTAL_PUBLIC_URL": public_url,
        "PORTAL_TRUSTED_PROXIES": "1",
    }


def nginx(folder: Path, ports: dict[str, int]) -> list[str]:
    tls = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"

    def server(name: str, to: str, settings: str = "") -> str:
        listen = f"listen 127.0.0.1:{ports[name]} {'' if name == 'behind_balancer' else 'ssl'};"
        secure = "" if name == "behind_balancer" else tls
        return f"server {{ {listen} {secure} location / {{ {settings} proxy_pass http://127.0.0.1:{ports[to]}; }} }}"

    server_blocks = [
        server("nginx_bare", "portal"),
        server("nginx_proxy_params", "portal", _PROXY_PARAMS),
        # a balancer that terminates TLS and forwards the scheme but not the host, with an nginx behind it
        server("balancer_and_nginx", "behind_balancer", "proxy_set_header X-Forwarded-Proto https;"),
        server("behind_balancer", "portal", "proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;"),
        server("nginx_at_port", "portal_at_port", _PROXY_PARAMS),
    ]
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; events {{}} "
        f"http {{ access_log off; {temporary} {' '.join(server_blocks)} }}"
    )
    return [find_program("nginx") or "", "-p", str(folder), "-c", str(config)]


def caddy(folder: Path, ports: dict[str, int]) -> list[str]:
    config = folder / "Caddyfile"
    config.write_text(
        "{\nadmin off\nauto_https disable_redirects\n}\n"
        f"https://:{ports['caddy']} {{\nbind 127.0.0.1\ntls {folder}/cert.pem {folder}/key.pem\n"
        f"reverse_proxy 127.0.0.1:{ports['portal']}\n}}\n"
    )
    return [find_program("caddy") or "", "run", "--config", str(config), "--adapter", "caddyfile"]


def responds(port: int) -> bool:
    try:
        return request_through(requests.Session(), port, "GET", "/healthz").status_code == 200
    except requests.ConnectionError:
        return False


def request_through(
    session: requests.Session, port: int, method: str, path: str, host: str = "portal.example.org", **options: Any
) -> requests.Response:
    """Send a request as a browser that resolves the public name to this port on loopback."""
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    headers = {"Host": host, **options.pop("headers", {})}
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
    headers |= {"Cookie": cookies} if cookies else {}
    url = f"https://127.0.0.1:{port}{path}"
    return session.request(method, url, headers=headers, verify=False, allow_redirects=False, timeout=30, **options)


def sign_in_with(port: int, host: str = "portal.example.org", **headers: str) -> str:
    session = requests.Session()
    page = request_through(session, port, "GET", "/SignIn", host)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token
    fields = {"csrf_token": token.group(1), "email": "nobody@example.org", "password": ""}
    http_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return request_through(session, port, "POST", "/SignIn", host, data=fields, headers=http_headers).text


@pytest.mark.parametrize("proxy", PROXIES)
def test_form_from_the_public_url_is_accepted(proxy_setup: ProxySetup, proxy: str) -> None:
    port = proxy_setup.ports[proxy]
    assert ACCEPTED in sign_in_with(port, Origin=PUBLIC, Referer=f"{PUBLIC}/SignIn", Sec_Fetch_Site="same-origin")
    assert ACCEPTED in sign_in_with(port, Referer=f"{PUBLIC}/SignIn")


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Referer": "https://evil.example/portal.example.org/"},
        {"Origin": "https://portal.example.org.evil.example"},
        {"Origin": "http://portal.example.org"},
        {"Origin": "https://portal.example.org:8443"},
        {"Origin": PUBLIC, "Sec_Fetch_Site": "cross-site"},
    ],
    ids=str,
)
def test_form_from_elsewhere_is_refused(proxy_setup: ProxySetup, proxy: str, headers: dict[str, str]) -> None:
    page = sign_in_with(proxy_setup.ports[proxy], **headers)
    assert REFUSED in page
    assert PUBLIC in page
    assert "PORTAL_PUBLIC_URL" in page


def test_port_of_the_public_url_is_compared(proxy_setup: ProxySetup) -> None:
    host = f"127.0.0.1:{proxy_setup.at_port}"
    assert ACCEPTED in sign_in_with(proxy_setup.at_port, host, Origin=f"https://{host}")
    assert REFUSED in sign_in_with(proxy_setup.at_port, host, Origin="https://127.0.0.1")
    assert REFUSED in sign_in_with(proxy_setup.at_port, host, Origin="https://127.0.0.1:443")


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("path", ["//static", "/", "/Admin/Accounts", "/static", "//evil.example/..", "/SignIn/"])
def test_no_response_repeats_the_forged_host(proxy_setup: ProxySetup, proxy: str, path: str) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "Script_Name": "/evil"}
    response = request_through(
        requests.Session(), proxy_setup.ports[proxy], "GET", path, "evil.example", headers=headers
    )
    location = response.headers.get("Location", "")
    assert location.startswith("/") or location.startswith(PUBLIC + "/") or not location
    assert "evil" not in location.replace("/evil.example", "", 1)
    assert "evil" not in response.text.replace("/evil.example", "")
