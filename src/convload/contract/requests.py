"""The three elements of a create request, their order, and the one function that checks a request array."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from convload.mistakes import Mistake, find_mistakes

SET_PROFILE = "userprofile.SetUserProfile"
REQUEST_CONVERSATION = "cm.ConsumerRequestConversation"
PUBLISH_EVENT = "ms.PublishEvent"
ORDER = (SET_PROFILE, REQUEST_CONVERSATION, PUBLISH_EVENT)
"""The documented order; the third element is optional."""

MAX_MESSAGE_ELEMENT_CHARS = 5000
"""Documented for one send request; assumed to hold for the message element of a batch, without a file's preview."""

PREVIEW_BYTES = 30 * 1024
"""The preview of a hosted file must be smaller: documented as 30 KB, assumed to be of the image that it encodes."""

MAX_SKILL_DIGITS = 10

TTR_NAMES = ("NORMAL", "URGENT", "PRIORITIZED", "CUSTOM")
"""The first three are in today's documentation, CUSTOM in older pages and in the published schema."""


class Reading(msgspec.Struct, frozen=True):
    """How to read what the documentation leaves open.

    `any_order` accepts the elements in any order. `strict` also holds the values that older pages and known
    clients disregard: TTR names, skill digits, `kind`. `max_message_chars` bounds the message element.
    """

    any_order: bool = False
    strict: bool = False
    max_message_chars: int = MAX_MESSAGE_ELEMENT_CHARS


LENIENT = Reading()

Text = str | UnsetType | None
Identifier = str | int | UnsetType | None
ElementId = Annotated[str, Meta(min_length=1, max_length=64)] | int


class Date(msgspec.Struct, frozen=True):
    """A calendar date of a customer attribute."""

    day: int
    month: int
    year: int


class Age(msgspec.Struct, frozen=True):
    """An age or birth date."""

    age: int | UnsetType = UNSET
    year: int | UnsetType = UNSET
    month: int | UnsetType = UNSET
    day: int | UnsetType = UNSET


class Address(msgspec.Struct, frozen=True):
    """Where a contact lives."""

    country: Text = UNSET
    region: Text = UNSET


class Contact(msgspec.Struct, frozen=True, rename="camel"):
    """One way to reach a consumer. Known clients send empty strings in every field."""

    email: Text = UNSET
    phone: Text = UNSET
    phone_type: Text = UNSET
    address: Address | UnsetType = UNSET


class CustomerInfo(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a `ctmrinfo` attribute."""

    cstatus: Text = UNSET
    ctype: Text = UNSET
    customer_id: Text = UNSET
    balance: float | UnsetType | None = UNSET
    currency: Text = UNSET
    social_id: Text = UNSET
    imei: Text = UNSET
    user_name: Text = UNSET
    company_size: int | UnsetType | None = UNSET
    company_branch: Text = UNSET
    account_name: Text = UNSET
    role: Text = UNSET
    login_status: int | UnsetType | None = UNSET
    last_payment_date: Date | UnsetType = UNSET
    registration_date: Date | UnsetType = UNSET


class Personal(msgspec.Struct, frozen=True):
    """The body of a `personal` attribute."""

    firstname: Text = UNSET
    lastname: Text = UNSET
    language: Text = UNSET
    company: Text = UNSET
    gender: str | int | UnsetType | None = UNSET
    age: Age | UnsetType = UNSET
    contacts: list[Contact] | UnsetType = UNSET


class CustomerInfoAttribute(msgspec.Struct, frozen=True, tag_field="type", tag="ctmrinfo"):
    """A `ctmrinfo` engagement attribute."""

    info: CustomerInfo


class PersonalAttribute(msgspec.Struct, frozen=True, tag_field="type", tag="personal"):
    """A `personal` engagement attribute."""

    personal: Personal


class AuthenticatedData(msgspec.Struct, frozen=True):
    """The engagement attributes (SDEs); only two kinds are documented for sending."""

    lp_sdes: list[CustomerInfoAttribute | PersonalAttribute] | UnsetType = UNSET


class PushNotificationData(msgspec.Struct, frozen=True, rename="camel"):
    """Where a consumer's app is notified."""

    service_name: Text = UNSET
    cert_name: Text = UNSET
    token: Text = UNSET


class PrivateData(msgspec.Struct, frozen=True, rename="camel"):
    """The private part of a flat profile."""

    mobile_num: Text = UNSET
    mail: Text = UNSET
    push_notification_data: PushNotificationData | UnsetType | None = UNSET


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """The body of the first element; `{}` is allowed."""

    first_name: Text = UNSET
    last_name: Text = UNSET
    user_id: Text = UNSET
    avatar_url: Text = UNSET
    role: Text = UNSET
    backgnd_img_uri: Text = UNSET
    description: Text = UNSET
    private_data: PrivateData | UnsetType | None = UNSET
    authenticated_data: AuthenticatedData | UnsetType | None = UNSET


class CampaignInfo(msgspec.Struct, frozen=True, rename="camel"):
    """Routes by campaign; documented as strings, sent as numbers by known clients."""

    campaign_id: Identifier = UNSET
    engagement_id: Identifier = UNSET


class ConversationContext(msgspec.Struct, frozen=True, rename="camel"):
    """Where the consumer comes from."""

    type: Text = UNSET
    visitor_id: Text = UNSET
    session_id: Text = UNSET
    interaction_context_id: Identifier = UNSET
    lang: Text = UNSET
    features: list[str] | UnsetType = UNSET
    client_properties: dict[str, Any] | UnsetType = UNSET


class ConversationRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The body of the second element; only `brandId` is needed."""

    brand_id: Annotated[str, Meta(min_length=1)]
    channel_type: Literal["MESSAGING"] | UnsetType = UNSET
    ttr_def_name: Text = UNSET
    campaign_info: CampaignInfo | UnsetType | None = UNSET
    skill_id: Identifier = UNSET
    conversation_context: ConversationContext | UnsetType | None = UNSET


class HostedFile(msgspec.Struct, frozen=True, rename="camel"):
    """A file that was uploaded before."""

    relative_path: str
    file_type: str
    caption: Text = UNSET
    preview: Text = UNSET


class ContentEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    """A message: text, or a hosted file."""

    content_type: Literal["text/plain", "hosted/file", "HostedFile"]
    message: str | HostedFile


class RichContentEvent(msgspec.Struct, frozen=True, tag_field="type"):
    """Structured content: a tree that is not looked into."""

    content: dict[str, Any] | UnsetType = UNSET
    message: Any = UNSET


class ChatStateEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    """Whether the consumer is typing."""

    chat_state: Literal["ACTIVE", "INACTIVE", "GONE", "COMPOSING", "PAUSE"]


class AcceptStatusEvent(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    """What the consumer has received or read."""

    status: Literal["ACCEPT", "READ", "ACCESS", "NACK", "ACTION"]
    sequence_list: list[int]


Event = ContentEvent | RichContentEvent | ChatStateEvent | AcceptStatusEvent


class Publication(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a message element; in a batch the conversation is implied."""

    event: Event
    dialog_id: Text = UNSET
    conversation_id: Text = UNSET


class SetProfileElement(msgspec.Struct, frozen=True, tag_field="type", tag=SET_PROFILE):
    """The first element."""

    id: ElementId
    body: Profile
    kind: Text = UNSET


class ConversationElement(msgspec.Struct, frozen=True, tag_field="type", tag=REQUEST_CONVERSATION):
    """The second element."""

    id: ElementId
    body: ConversationRequest
    kind: Text = UNSET


class PublishElement(msgspec.Struct, frozen=True, tag_field="type", tag=PUBLISH_EVENT):
    """The third element."""

    id: ElementId
    body: Publication
    kind: Text = UNSET


Element = SetProfileElement | ConversationElement | PublishElement
ELEMENT_TYPES: tuple[type[Element], ...] = (SetProfileElement, ConversationElement, PublishElement)


class Checked(msgspec.Struct, frozen=True):
    """What a look at a request array found: its elements if it is sound, else every mistake in it."""

    elements: list[Element]
    mistakes: list[Mistake]


UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises; the last for a body nested too deeply, which must not take a server down."""

_decode = msgspec.json.Decoder(list[Element]).decode
_PAIR = (SetProfileElement, ConversationElement)
_TRIPLE = (*_PAIR, PublishElement)


def check_request(body: bytes, account: str, reading: Reading = LENIENT) -> Checked:
    """Checks a create request against the documented types, order, account and size."""
    try:
        elements = _decode(body)
    except UNDECODABLE as error:
        return Checked([], _explain(body, error))
    order = tuple(map(type, elements))
    if order not in (_PAIR, _TRIPLE) and not (reading.any_order and _is_complete(order)):
        return Checked([], _order_mistakes(order))
    mistakes = _rules_between(elements, body, account, reading)
    return Checked([], mistakes) if mistakes else Checked(elements, mistakes)


def _is_complete(order: tuple[type, ...]) -> bool:
    return set(order) in (set(_PAIR), set(_TRIPLE)) and len(order) == len(set(order))


def _rules_between(elements: list[Element], body: bytes, account: str, reading: Reading) -> list[Mistake]:
    mistakes = []
    for position, element in enumerate(elements):
        if isinstance(element, ConversationElement) and element.body.brand_id != account:
            mistakes.append(_at(position, "body.brandId", f"is not the account of the path, {account!r}"))
        # No element is longer than the whole, so most requests never need their element measured.
        if isinstance(element, PublishElement) and len(body) > reading.max_message_chars:
            raw = bytes(msgspec.json.decode(body, type=list[msgspec.Raw])[position])
            if what := size_problem(raw, element.body.event, reading.max_message_chars):
                mistakes.append(Mistake(f"$[{position}]", what))
        if reading.strict:
            mistakes += _strict_mistakes(position, element)
    return mistakes


def size_problem(raw: bytes, event: Event | None, max_chars: int) -> str:
    """Returns why a request is too large, "" if it is not: its text and the preview of a file have a limit each."""
    text = raw.decode("utf-8", "replace")
    chars = len(text)
    if isinstance(event, ContentEvent) and isinstance(event.message, HostedFile) and event.message.preview:
        preview = event.message.preview
        size = len(preview.partition(",")[2].rstrip("=")) * 3 // 4
        if size >= PREVIEW_BYTES:
            return f"has a preview of {size} bytes; less than {PREVIEW_BYTES} are allowed"
        chars -= len(preview) + text.count("\\/")
    return f"has {chars} characters; at most {max_chars} are allowed" if chars > max_chars else ""


def _strict_mistakes(position: int, element: Element) -> list[Mistake]:
    mistakes = []
    if element.kind != "req":
        mistakes.append(_at(position, "kind", "must be 'req'"))
    if isinstance(element, ConversationElement):
        ttr, skill = element.body.ttr_def_name, element.body.skill_id
        if isinstance(ttr, str) and ttr not in TTR_NAMES:
            mistakes.append(_at(position, "body.ttrDefName", f"must be null or one of {', '.join(TTR_NAMES)}"))
        if isinstance(skill, str | int) and not _is_skill(str(skill)):
            mistakes.append(_at(position, "body.skillId", f"must be -1 or at most {MAX_SKILL_DIGITS} digits"))
    return mistakes


def _is_skill(skill: str) -> bool:
    return skill == "-1" or (skill.isdecimal() and len(skill) <= MAX_SKILL_DIGITS)


def _at(position: int, field: str, what: str) -> Mistake:
    return Mistake(f"$[{position}].{field}", what)


def _order_mistakes(order: tuple[type, ...]) -> list[Mistake]:
    named = [ELEMENT_TYPES.index(kind) for kind in order]
    if len(named) < len(_PAIR) or len(named) > len(_TRIPLE):
        return [Mistake("$", f"has {len(named)} elements; 2 or 3 are allowed")]
    return [
        Mistake(f"$[{position}].type", f"is {ORDER[found]!r}; here it must be {ORDER[position]!r}")
        for position, found in enumerate(named)
        if found != position
    ]


def _explain(body: bytes, error: Exception) -> list[Mistake]:
    """Takes the slow way through a body that the decoder refused, so that every mistake is told."""
    try:
        value = msgspec.json.decode(body)
    except UNDECODABLE as broken:
        return [Mistake("$", f"is not JSON: {broken}")]
    if not isinstance(value, list):
        return [Mistake("$", "must be an array of 2 or 3 requests")]
    mistakes = [m for position, item in enumerate(value) for m in _explain_element(position, item)]
    return mistakes or [Mistake("$", str(error))]


def _explain_element(position: int, item: object) -> list[Mistake]:
    path = f"$[{position}]"
    if not isinstance(item, dict):
        return [Mistake(path, "must be an object")]
    if item.get("type") not in ORDER:
        return [Mistake(f"{path}.type", f"must be one of {', '.join(ORDER)}")]
    return find_mistakes(item, ELEMENT_TYPES[ORDER.index(item["type"])], path)
