"""A data set on disk, downloaded if need be and checked: the strict first stage of a pipeline."""

import json
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from factorial import arguments, console, data
from factorial.checkpoint import replace
from factorial.config import CONF, BadInput, Data


def main(typed: Sequence[str]) -> None:
    """`python fetch.py data=NAME`. Raises BadInput, files.Missing where it is not to be had."""
    settings = arguments.read("fetch", typed)
    name = settings["data"]
    known = sorted(file.stem for file in (CONF / "data").glob("*.yaml"))
    if name not in known:
        raise BadInput(f"data={name}: allowed is one of {', '.join(known)}")
    facts = OmegaConf.load(CONF / "data" / f"{name}.yaml")
    here = OmegaConf.create({"outputs": settings["outputs"], "data": facts})
    chosen = Data(**OmegaConf.to_container(here, resolve=True)["data"])  # type: ignore
    data.require(chosen)
    train, test, digest = data.read(name, data.source(chosen), chosen.white)
    said = {"data": name, "train": len(train), "test": len(test), "sha256": digest}
    console.say(", ".join(f"{key} {value}" for key, value in said.items()))
    if settings["digest"]:
        file = Path(settings["digest"])
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file, (json.dumps(said, indent=1) + "\n").encode())
