"""Files of a record that may come from elsewhere: read as plain data, within limits."""

import json
from pathlib import Path
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from factorial.settings.messages import BadInput

DEEPEST = 50  # levels of a config, or of any JSON
LARGEST = 4_000_000  # bytes: a thousand epochs of metrics are a tenth of it
LARGEST_YAML = 64_000  # bytes: a config has two thousand; what takes the parser longest, a second
# What PyYAML raises; some comes from tags whose value is not of their kind, as in `!!int ""`
UNREADABLE = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


def read(file: Path, what: str, largest: int = LARGEST) -> str:
    """A text file that is no larger than it has to be. Raises BadInput."""
    try:
        size = file.stat().st_size
        if size > largest:
            raise BadInput(f"{what}: {size:,} bytes; allowed are {largest:,}")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{what}: can't be read ({error})") from error


def read_json(file: Path, what: str) -> dict[str, Any]:
    """Raises BadInput for anything but one JSON object."""
    text = read(file, what)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise BadInput(f"{what}: allowed is a JSON object")
    refuse_depth(document, what)
    return document


def refuse_depth(document: Any, what: str) -> None:
    """Before anything walks through it by calling itself."""
    level, depth = [document], 0
    while level := [inner for node in level for inner in inside(node)]:
        depth += 1
        if depth > DEEPEST:
            raise BadInput(f"{what}: allowed is JSON of at most {DEEPEST} levels")


def inside(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []


def read_yaml(file: Path, what: str) -> dict[str, Any]:
    """A resolved config: mappings, lists and plain values. Raises BadInput for anything else.

    An alias could make a small file a huge config, an interpolation a name that is not in it.
    """
    text = read(file, what, LARGEST_YAML)
    try:
        check_events(text, what)
        config = yaml.safe_load(text)
    except BadInput:
        raise
    except UNREADABLE as error:
        raise BadInput(f"{what}: not YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(config, dict):
        raise BadInput(f"{what}: allowed is a mapping")
    refuse_interpolations(config, what)
    if not text.endswith("\n"):  # as every whole one does
        raise BadInput(f"{what}: it was cut off, in the middle of a line")
    return config


def check_events(text: str, what: str) -> None:
    """Before anything is built of it: no alias, and no depth that would take the parser ages."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, AliasEvent):
            raise BadInput(f"{what}: allowed is YAML without aliases")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise BadInput(f"{what}: allowed is YAML of at most {DEEPEST} levels")


def refuse_interpolations(node: Any, what: str) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            refuse_interpolations(key, what)
            refuse_interpolations(value, f"{what}: {key}")
    elif isinstance(node, list):
        for item in node:
            refuse_interpolations(item, what)
    elif isinstance(node, str) and "${" in node:
        raise BadInput(f"{what}={node[:80]}: allowed in a record are resolved values")
    elif not isinstance(node, str | int | float | None):
        raise BadInput(f"{what}={node}: allowed in a record are text, numbers and null")
