"""Bring a data set to disk, checked, without any fallback: data=mnist."""

import json
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from factorial import console
from factorial.record.files import write_atomically
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.names import OWN
from factorial.settings.parsing import parse_data
from factorial.settings.places import CONF
from factorial.training import data


def main(typed: Sequence[str]) -> None:
    """Raises BadInput, Missing where it is not to be had."""
    settings = words.read("fetch", typed)
    name = settings["data"]
    known = sorted({file.stem for file in (CONF / "data").glob("*.yaml")} - {*OWN})
    if name not in known:
        raise BadInput(f"data={name}: allowed is one of {', '.join(known)}")
    group = OmegaConf.load(CONF / "data" / f"{name}.yaml")
    chosen = parse_data(OmegaConf.create({"outputs": settings["outputs"], "data": group}))
    data.require(chosen, allow=[])
    facts = data.facts(chosen)
    examples = {"train": facts.examples, "test": facts.test}
    said = {"data": name, **examples, "sha256": facts.digest}
    console.say(", ".join(f"{key} {value}" for key, value in said.items()))
    if settings["digest"]:
        file = Path(settings["digest"])
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, (json.dumps(said, indent=1) + "\n").encode())
