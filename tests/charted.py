"""A chart of a page as Vega draws it, without a browser: each mark with all its values, which it
says of itself where the page does not put other words there."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import vl_convert

from factorial.pages import charts


class Mark(NamedTuple):
    """`said` are a mark's values by their titles, `drawn` the attributes of its SVG element."""

    layer: int
    kind: str
    said: dict[str, str]
    drawn: dict[str, str]


def marks(spec: dict[str, Any], params: dict[str, Any], **data: Any) -> list[Mark]:
    """Of the page's data sets by their names, with its signals as they are set."""
    known = [{**one, "value": params.get(one["name"], one["value"])} for one in spec["params"]]
    sizes = {key: 300 for key in ("width", "height") if spec.get(key) == "container"}
    whole = wordless(spec) | sizes | {"params": known, "datasets": data}
    svg = vl_convert.vegalite_to_svg(whole, vl_version=charts.VERSION)
    return list(found(ElementTree.fromstring(svg), 0))


def wordless(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: wordless(v) for k, v in node.items() if k != "aria" and not is_words(k, v)}
    return [wordless(one) for one in node] if isinstance(node, list) else node


def is_words(key: str, value: Any) -> bool:
    return key == "description" and isinstance(value, dict)


def found(element: Element, layer: int) -> Iterator[Mark]:
    inside = re.search(r"\blayer_(\d+)", element.get("class", ""))
    layer = int(inside[1]) if inside else layer
    if element.get("role") == "graphics-symbol" and "aria-label" in element.attrib:
        pairs = (one.partition(": ") for one in element.attrib["aria-label"].split("; "))
        said = {key: value.replace("\u2212", "-") for key, _, value in pairs}
        yield Mark(layer, element.get("aria-roledescription", ""), said, dict(element.attrib))
    for child in element:
        yield from found(child, layer)
