"""The JSON schema of plan files, made from the types that check them, for editors that check as one writes."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from convload.plan.durations import PATTERN
from convload.plan.plan import Plan, public_types
from convload.plan.retry import PolicyName, RetryPolicy
from convload.plan.sources import DURATIONS

FILE_NAME = "plan.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_Duration = Annotated[str, Meta(pattern=rf"^\s*{PATTERN}\s*$", examples=["30s"])]


def schema() -> dict[str, Any]:
    """Returns the schema; rules between keys are not in it, `convload plan check` knows them."""
    keys = zip(public_types().items(), msgspec.structs.fields(Plan), strict=True)
    written = [(key, _written(key, kind), _default_of(field)) for (key, kind), field in keys]
    public = msgspec.defstruct("Plan", written, kw_only=True, forbid_unknown_fields=True)
    (made,), components = msgspec.json.schema_components([public], ref_template="#/$defs/{name}")
    definitions = components | {"Plan": _without_nulls(components["Plan"])}
    return {"$schema": _DIALECT, "title": "A plan of convload", **made, "$defs": definitions}


def _written(key: str, kind: Any) -> Any:
    if key in DURATIONS:
        return _Duration
    return PolicyName | RetryPolicy if key == "retry" else kind


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    is_time = field.name in DURATIONS.values() and field.default is not None
    return f"{field.default:g}s" if is_time else field.default


def _without_nulls(struct: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what TOML cannot write."""
    properties = {}
    for key, kind in struct["properties"].items():
        options = [option for option in kind.get("anyOf", []) if option != {"type": "null"}]
        rest = {name: value for name, value in kind.items() if name != "anyOf" and (name, value) != ("default", None)}
        properties[key] = {**options[0], **rest} if len(options) == 1 else kind if options else rest
    return struct | {"properties": properties}
