"""The bodies of refusals: the documented error table and the forms errors come in."""

from http import HTTPStatus

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """One row of the documented table of errors. `assumed` rows have no published body."""

    status: int
    error_code: int
    title: str
    details: str
    assumed: bool = False

    def body(self) -> bytes:
        """Returns the unified error form, in which `code` is a number."""
        return msgspec.json.encode(
            {
                "kind": "resp",
                "code": self.status,
                "body": {"title": self.title, "details": self.details, "errorCode": self.error_code},
                "type": ".ReqBody$ErrorResp",
            }
        )


MISSING_BRAND = Refusal(400, 40001, "Missing parameter", "Brand Id is missing")
INVALID_APP_TOKEN = Refusal(401, 40102, "Invalid AppJWT", "AppJWT has expired or is invalid")
INVALID_CONSUMER_TOKEN = Refusal(401, 40103, "Invalid ConsumerJWS", "ConsumerJWS is invalid")
MISSING_CONSUMER_TOKEN = Refusal(401, 40104, "ConsumerJWS is missing", "X_ON_BEHALF_HEADER is not present")
MISSING_APP_TOKEN = Refusal(401, 40105, "AppJWT is missing", "AUTHORIZATION header is not present")
OF_THE_CONSUMER = frozenset({"40103", "40104"})
"""Codes of a 401 that are about the consumer's token, not about the app's."""

UNABLE_TO_ACCESS = Refusal(502, 50201, "Unable to access resource", "Failed to connect to AC for setting delay")
"""The one sample of a 5xx that is published."""


def of_status(status: int, details: str) -> Refusal:
    """Returns the documented refusal of a status where there is one, else an assumed one in the same form."""
    if status == UNABLE_TO_ACCESS.status:
        return UNABLE_TO_ACCESS
    title = HTTPStatus(status).phrase if status in _STATUSES else str(status)
    return Refusal(status, status * 100, title, details, assumed=True)


_STATUSES = frozenset(status.value for status in HTTPStatus)


def bad_request(details: str) -> Refusal:
    """Returns the assumed refusal of a broken request; only the class of its status is documented."""
    return of_status(400, details)


def already_open(lp_consumer_id: str) -> str:
    """Returns the documented message for a consumer that has an open conversation."""
    return (
        f"Consumer request conversation failed: User {lp_consumer_id} already has open conversation. "
        "Can't open another one."
    )


CLOSED_CONVERSATION = "Bad Request, Conversation is close"
TOO_LARGE = "Bad Request"
PROFILE_SET = "OK User Profile set successfully"
CONVERSATION_CLOSED = "OK Conversation resolved successfully"
