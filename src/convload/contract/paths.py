"""Services, paths and header names of the calls; sources in docs/api.md."""

from urllib.parse import quote, urlencode

MESSAGING = "asyncMessagingEnt"
SENTINEL = "sentinel"
IDP = "idp"
SERVICES = (MESSAGING, SENTINEL, IDP)
"""The services that the calls of this package go to, by their case-sensitive names."""

KNOWN_SERVICES = (*SERVICES, "swift", "accountConfigReadWrite", "agentVep")
"""And those that known clients look up beside them: file storage, installation of an app, login of agents."""

AUTHORIZATION = "Authorization"
ON_BEHALF = "X-LP-ON-BEHALF"
CLIENT_PROPERTIES = "Client-Properties"

API_VERSION = "3"
"""The only version of create and send that is served; any other answers 404."""


def domain(account: str) -> str:
    """Returns the path of the look-up of all services."""
    return f"/api/account/{quote(account, safe='')}/service/baseURI.json?version=1.0"


def app_token(account: str) -> str:
    """Returns the Sentinel path that gives an AppJWT; credentials go into a form body."""
    query = urlencode({"v": "1.0", "grant_type": "client_credentials"})
    return f"/sentinel/api/account/{quote(account, safe='')}/app/token?{query}"


def consumer_token(account: str) -> str:
    """Returns the IDP path that gives a ConsumerJWS."""
    return f"/api/account/{quote(account, safe='')}/consumer?v=1.0"


def create(account: str) -> str:
    """Returns the path of the batch call that creates a conversation."""
    return f"/api/account/{quote(account, safe='')}/messaging/consumer/conversation?v={API_VERSION}"


def send(account: str) -> str:
    """Returns the path of the call that sends or closes in an open conversation."""
    return f"/api/account/{quote(account, safe='')}/messaging/consumer/conversation/send?v={API_VERSION}"
