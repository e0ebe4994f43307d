"""An OpenID Connect provider on the loopback address, where anybody signs in with one click."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

CLIENT, SECRET = "inkling", "not-a-real-secret"


class Provider:
    """The provider's address, its people, and what it was asked for.

    Args:
        address: where it listens.
        people: the claims of each person, by the name shown on its page.
    """

    def __init__(self, address: str, people: dict[str, dict[str, Any]]) -> None:
        from joserfc.jwk import RSAKey

        self.address, self.people = address, people
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.codes: dict[str, tuple[str, dict[str, str]]] = {}
        self.ended_sessions = 0

    def write_secrets(self, redirect_uri: str, roles: str) -> str:
        """The secrets file of an app that lets people sign in here.

        Args:
            redirect_uri: the app's address that people return to.
            roles: the lines of `[roles]`.
        """
        return f"""
[auth]
redirect_uri = "{redirect_uri}"
cookie_secret = "long enough to sign cookies with"
client_id = "{CLIENT}"
client_secret = "{SECRET}"
server_metadata_url = "{self.address}/.well-known/openid-configuration"

[roles]
{roles}
"""

    def describe(self) -> dict[str, Any]:
        """The discovery document."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "end_session_endpoint": f"{self.address}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def start_sign_in(self, person: str, request: dict[str, str]) -> str:
        """Sign a person in; return the address with the code that the app exchanges."""
        code = secrets.token_urlsafe()
        self.codes[code] = (person, request)
        answer = {"code": code, "state": request["state"]}
        return f"{request['redirect_uri']}?{urlencode(answer)}"

    def exchange(self, values: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The tokens for a code, once; None where the client or the code is wrong."""
        from joserfc import jwt

        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        person, request = self.codes.pop(values.get("code", ""), ("", {}))
        digest = hashlib.sha256(values.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            authorization != f"Basic {expected}"
            or request.get("client_id") != CLIENT
            or request.get("code_challenge") != challenge
            or request["redirect_uri"] != values.get("redirect_uri")
        ):
            return None
        now = int(time.time())
        claims = {
            "iss": self.address,
            "aud": CLIENT,
            "sub": person,
            "iat": now,
            "exp": now + 600,
            "nonce": request["nonce"],
            **self.people[person],
        }
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": "x", "token_type": "Bearer", "expires_in": 600, "id_token": token}


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
        if path == "/.well-known/openid-configuration":
            self._send_json(self.provider.describe())
        elif path == "/keys":
            self._send_json({"keys": [self.provider.key.as_dict(private=False)]})
        elif path == "/authorize":
            links = "".join(
                f'<p><a href="/choose?{html.escape(urlencode({**query, "person": name}))}">'
                f"{html.escape(name)}</a></p>"
                for name in self.provider.people
            )
            self._send("text/html", f"<title>Provider</title>{links}".encode())
        elif path == "/choose":
            self._redirect(self.provider.start_sign_in(query.pop("person"), query))
        elif path == "/logout":
            self.provider.ended_sessions += 1
            self._redirect(query["post_logout_redirect_uri"])
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        tokens = self.provider.exchange(
            dict(parse_qsl(body)), self.headers.get("Authorization", "")
        )
        self._send_json(tokens or {"error": "invalid_grant"}, 200 if tokens else 400)

    def _redirect(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.end_headers()

    def _send_json(self, values: Any, status: int = 200) -> None:
        self._send("application/json", json.dumps(values).encode(), status)

    def _send(self, kind: str, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@contextlib.contextmanager
def identity_provider(people: dict[str, dict[str, Any]]) -> Iterator[Provider]:
    """Run a provider on a free port of the loopback address."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        provider = Provider(f"http://127.0.0.1:{server.server_address[1]}", people)
        handler.provider = provider  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
