"""The calls that come before a conversation: domain look-up, AppJWT, ConsumerJWS; and who is calling."""

import re
from typing import Annotated
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from convload.contract import paths
from convload.contract.answers import Refusal, bad_request
from convload.contract.requests import UNDECODABLE
from convload.mock.messages import Reply, Request
from convload.mock.replies import CREATED, NOT_AUTHORISED, OK, json_reply, refused
from convload.mock.tokens import ConsumerClaims, Tokens

AUTHORIZATION = paths.AUTHORIZATION.lower().encode()
ON_BEHALF = paths.ON_BEHALF.lower().encode()
CLIENT_PROPERTIES = paths.CLIENT_PROPERTIES.lower().encode()


class AppCredentials(msgspec.Struct, frozen=True):
    """What an app must know to get an AppJWT; what is None is not compared."""

    client_id: str | None = None
    client_secret: str | None = None


class Destination(msgspec.Struct, frozen=True):
    """Where a request goes, read once from its query and path."""

    query: dict[str, str]
    account: str = ""
    service: str = ""


class _ConsumerRequest(msgspec.Struct, frozen=True):
    ext_consumer_id: Annotated[str, Meta(min_length=1)]


class Access:
    """Answers the token calls, and says whose request it is. Without `auth` no token is looked at."""

    def __init__(self, tokens: Tokens, credentials: AppCredentials, lifetime_s: int, *, auth: bool) -> None:
        self._tokens = tokens
        self._credentials = credentials
        self._lifetime_s = lifetime_s
        self._auth = auth

    def app_token(self, target: Destination, request: Request) -> Reply:
        """Answers Sentinel's call; every part may stand in the query or in a form body."""
        given = target.query | dict(parse_qsl(request.body.decode("utf-8", "replace")))
        grant = given.get("grant_type")
        if grant != "client_credentials":
            error = "unsupported_grant_type" if grant else "invalid_request"
            return json_reply(400, {"error": error})
        client_id, secret = given.get("client_id", ""), given.get("client_secret", "")
        wanted = self._credentials
        if not (_fits(client_id, wanted.client_id) and _fits(secret, wanted.client_secret)):
            return json_reply(NOT_AUTHORISED, {"error": "invalid_client"})
        token = self._tokens.app_token(target.account, client_id)
        return json_reply(OK, {"access_token": token, "token_type": "Bearer", "expires_in": self._lifetime_s})

    def consumer_token(self, target: Destination, request: Request) -> Reply:
        """Answers IDP's call."""
        if refusal := self._refusal_of_app(target, request):
            return refused(refusal)
        try:
            consumer = msgspec.json.decode(request.body, type=_ConsumerRequest)
        except UNDECODABLE as error:
            return refused(bad_request(str(error)))
        return json_reply(CREATED, {"token": self._tokens.consumer_token(target.account, consumer.ext_consumer_id)})

    def consumer_of(self, target: Destination, request: Request) -> str | Refusal:
        """Returns the `lp_consumer_id` that a create or send request speaks for; empty without auth."""
        if not self._auth:
            return ""
        if refusal := self._refusal_of_app(target, request):
            return refusal
        claims = self._tokens.check_consumer(request.headers.get(ON_BEHALF), target.account)
        return claims.lp_consumer_id if isinstance(claims, ConsumerClaims) else claims

    def _refusal_of_app(self, target: Destination, request: Request) -> Refusal | None:
        if not self._auth:
            return None
        return self._tokens.check_app(request.headers.get(AUTHORIZATION), target.account)


def look_up(target: Destination, request: Request, port: int | None) -> Reply:
    """Answers the domain look-up: every service is where the request itself has found the mock, or at another port."""
    host = request.headers.get(b"host")
    if not host or target.query.get("version", "1.0") != "1.0":
        return refused(bad_request("needs a Host header, and version=1.0 in the query"))
    place = host.decode("latin-1").strip()
    if port is not None:
        place = f"{re.sub(r':[0-9]*$', '', place)}:{port}"
    entries = [{"service": name, "account": target.account, "baseURI": place} for name in paths.KNOWN_SERVICES]
    if not target.service:
        return json_reply(OK, {"baseURIs": entries})
    for entry in entries:
        if entry["service"] == target.service:
            return json_reply(OK, entry)
    return refused(bad_request(f"unknown service; known: {', '.join(paths.KNOWN_SERVICES)}"))


def _fits(given: str, wanted: str | None) -> bool:
    return bool(given) if wanted is None else given == wanted
