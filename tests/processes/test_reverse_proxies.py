"""Forms behind real proxies: the origin that counts is that of PORTAL_PUBLIC_URL, whatever a proxy passes on."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import urllib3

from bin.programs import find_program
from tests.support import servers

PUBLIC = "https://portal.example.org"
REFUSED, TAKEN = "This form came from another address", "Enter your password."
PROXIES = ("nginx_bare", "nginx_proxy_params", "balancer_and_nginx", "caddy")
_PROXY_PARAMS = """
proxy_set_header Host $host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
"""
"""As Debian has it in /etc/nginx/proxy_params: the port that the browser names is lost."""


@dataclass(frozen=True)
class Scene:
    """Where each proxy listens; `at_port` is the one whose public address has a port, and `portal` what is behind."""

    ports: dict[str, int]
    at_port: int
    portal: int


@pytest.fixture(scope="module")
def proxy_setup(tmp_path_factory: pytest.TempPathFactory, sqlite_template_file: Path) -> Iterator[Scene]:
    for name in ("nginx", "caddy"):
        if find_program(name) is None:
            pytest.skip(f"{name} is not here")
    folder = tmp_path_factory.mktemp("proxies")
    certificate(folder)
    names = (*PROXIES, "nginx_at_port", "behind_balancer", "portal", "portal_at_port")
    ports = {name: servers.free_port() for name in names}
    with ExitStack() as stack:
        for name, public in (("portal", PUBLIC), ("portal_at_port", f"https://127.0.0.1:{ports['nginx_at_port']}")):
            stack.enter_context(portal(folder / name, sqlite_template_file, ports[name], public))
        stack.enter_context(servers.running_process(nginx(folder, ports)))
        stack.enter_context(servers.running_process(caddy(folder, ports), {"HOME": str(folder)}))
        for name in ("portal", "portal_at_port"):
            servers.wait_for(lambda name=name: servers.responds_ok(f"http://127.0.0.1:{ports[name]}/healthz"), name, 60)
        for name in (*PROXIES, "nginx_at_port"):
            servers.wait_for(lambda name=name: answers(ports[name]), name)
        yield Scene(ports, ports["nginx_at_port"], ports["portal"])


def certificate(folder: Path) -> None:
    names = "subjectAltName=DNS:portal.example.org,IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=portal", "-addext", names]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def portal(folder: Path, model: Path, port: int, public_url: str) -> AbstractContextManager[object]:
    folder.mkdir()
    shutil.copy(model, folder / "portal.sqlite")
    env = {
        "PORTAL_INSTANCE": str(folder),
        "PORTAL_REDIS_URL": f"unix://{folder}/nobody.sock",
        "PORTAL_PUBLIC_URL": public_url,
        "PORTAL_TRUSTED_PROXIES": "1",
    }
    return servers.running_process(servers.portal_command("web", "--port", str(port), "--processes", "1"), env)


def nginx(folder: Path, ports: dict[str, int]) -> list[str]:
    tls = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"

    def server(name: str, to: str, settings: str = "") -> str:
        listen = f"listen 127.0.0.1:{ports[name]} {'' if name == 'behind_balancer' else 'ssl'};"
        secure = "" if name == "behind_balancer" else tls
        return f"server {{ {listen} {secure} location / {{ {settings} proxy_pass http://127.0.0.1:{ports[to]}; }} }}"

    servers = [
        server("nginx_bare", "portal"),
        server("nginx_proxy_params", "portal", _PROXY_PARAMS),
        # a balancer that ends TLS, tells the scheme and loses the host, and an nginx behind it that passes both on
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
        f"http {{ access_log off; {temporary} {' '.join(servers)} }}"
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


def answers(port: int) -> bool:
    try:
        return request_through(requests.Session(), port, "GET", "/healthz").status_code == 200
    except requests.ConnectionError:
        return False


def request_through(
    session: requests.Session, port: int, method: str, path: str, host: str = "portal.example.org", **more: object
):  # type: ignore[no-untyped-def]
    """As a browser that finds the public name at this port of loopback."""
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    headers = {"Host": host, **more.pop("headers", {})}  # type: ignore[dict-item]
    cookie = "; ".join(f"{kept.name}={kept.value}" for kept in session.cookies)
    headers |= {"Cookie": cookie} if cookie else {}
    url = f"https://127.0.0.1:{port}{path}"
    return session.request(method, url, headers=headers, verify=False, allow_redirects=False, timeout=30, **more)


def sign_in_with(scene_port: int, host: str = "portal.example.org", **headers: str) -> str:
    session = requests.Session()
    page = request_through(session, scene_port, "GET", "/SignIn", host)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token
    fields = {"csrf_token": token.group(1), "email": "nobody@example.org", "password": ""}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = request_through(session, scene_port, "POST", "/SignIn", host, data=fields, headers=named)
    return str(answer.text)


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_form_from_the_public_address_is_taken_behind_any_proxy(proxy_setup: Scene, proxy: str) -> None:
    port = proxy_setup.ports[proxy]
    assert TAKEN in sign_in_with(port, Origin=PUBLIC, Referer=f"{PUBLIC}/SignIn", Sec_Fetch_Site="same-origin")
    assert TAKEN in sign_in_with(port, Referer=f"{PUBLIC}/SignIn")


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
def test_a_form_from_elsewhere_is_refused_behind_any_proxy(
    proxy_setup: Scene, proxy: str, headers: dict[str, str]
) -> None:
    page = sign_in_with(proxy_setup.ports[proxy], **headers)
    assert REFUSED in page
    assert PUBLIC in page
    assert "PORTAL_PUBLIC_URL" in page


def test_a_public_address_with_a_port_is_compared_with_it(proxy_setup: Scene) -> None:
    host = f"127.0.0.1:{proxy_setup.at_port}"
    assert TAKEN in sign_in_with(proxy_setup.at_port, host, Origin=f"https://{host}")
    assert REFUSED in sign_in_with(proxy_setup.at_port, host, Origin="https://127.0.0.1")
    assert REFUSED in sign_in_with(proxy_setup.at_port, host, Origin="https://127.0.0.1:443")


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("path", ["//static", "/", "/Admin/Accounts", "/static", "//evil.example/..", "/SignIn/"])
def test_no_redirect_and_no_page_repeats_the_host_of_the_caller(proxy_setup: Scene, proxy: str, path: str) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "Script_Name": "/evil"}
    answer = request_through(requests.Session(), proxy_setup.ports[proxy], "GET", path, "evil.example", headers=headers)
    told = answer.headers.get("Location", "")
    assert told.startswith("/") or told.startswith(PUBLIC + "/") or not told
    assert "evil" not in told.replace("/evil.example", "", 1)
    assert "evil" not in answer.text.replace("/evil.example", "")
