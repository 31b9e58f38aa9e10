"""Templates of pages: those of a package, and what all pages share."""

import re

import jinja2


def template(package: str, name: str) -> jinja2.Template:
    """Of a page in the package's own folder `templates`; what a HTML page is told is text."""
    loaders = [jinja2.PackageLoader(package), jinja2.PackageLoader("factorial.pages")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = markdown_cell
    environment.filters["code"] = markdown_code
    return environment.get_template(f"{name}.j2")


def markdown_code(text: str) -> str:
    """Text as code within a line: between more backticks than it has in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " if "`" in text else ""  # or one at its end would be the fence's
    return f"{fence}{room}{' '.join(text.split())}{room}{fence}"


def markdown_cell(text: str) -> str:
    """Text that stays within its cell, and text: no link, no tag, no code."""
    return re.sub(r"([\\|\[\]`])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")
