"""Bring a data set to disk, checked, without any fallback: data=mnist."""

import json
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from factorial import console
from factorial.record.files import write_atomically
from factorial.settings import words
from factorial.settings.messages import BadInput
from factorial.settings.places import CONF
from factorial.settings.schema import Data
from factorial.training import data


def main(typed: Sequence[str]) -> None:
    """Raises BadInput, downloads.Missing where it is not to be had."""
    settings = words.read("fetch", typed)
    name = settings["data"]
    known = sorted(file.stem for file in (CONF / "data").glob("*.yaml"))
    if name not in known:
        raise BadInput(f"data={name}: allowed is one of {', '.join(known)}")
    facts = OmegaConf.load(CONF / "data" / f"{name}.yaml")
    here = OmegaConf.create({"outputs": settings["outputs"], "data": facts})
    chosen = Data(**OmegaConf.to_container(here, resolve=True)["data"])  # type: ignore
    data.require(chosen)
    stored = data.read(name, data.source(chosen))
    examples = {"train": len(stored.train.labels), "test": len(stored.test.labels)}
    said = {"data": name, **examples, "sha256": stored.digest}
    console.say(", ".join(f"{key} {value}" for key, value in said.items()))
    if settings["digest"]:
        file = Path(settings["digest"])
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, (json.dumps(said, indent=1) + "\n").encode())
