"""What MLflow is told of a run, as plain data: it can be kept on disk, and sent again."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from factorial.record import remote
from factorial.record.refusals import is_of_mlflow, is_out_of_reach
from factorial.settings.messages import BadInput, shown
from factorial.settings.rules import LONGEST_TEXT

Entry = Mapping[str, Any]  # JSON

AT_ONCE = 1000  # points in one write: MLflow would divide more, and a row with them


def joined(entries: Iterable[Entry]) -> tuple[Entry, int]:
    """The first of some entries, with the points of those behind it; how many these are."""
    taken: list[Entry] = []
    points: list[Any] = []
    for entry in entries:
        if taken and not ("points" in entry and len(points) + len(entry["points"]) <= AT_ONCE):
            break
        taken.append(entry)
        if "points" not in entry:
            break
        points += entry["points"]
    return {"points": points} if points else taken[0], len(taken)


class DataSet(NamedTuple):
    """What is said of a run's data: sizes are numbers of examples."""

    name: str
    digest: str
    sizes: Mapping[str, int]

    def as_input(self) -> Any:
        """As MLflow takes it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = json.dumps(dict(self.sizes))
        source = json.dumps({"name": self.name, "sha256": self.digest})
        entity = Dataset(self.name, self.digest[:32], "local", source, profile=profile)
        return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


class Place(NamedTuple):
    """A run to MLflow: by its id, its folder of files here, and where a server has them."""

    client: Any
    run: str
    folder: Path
    location: str = ""

    def send(self, entry: Entry) -> None:
        """Tell MLflow, for which the same entry sent twice counts once. Raises what MLflow raises.

        A point is (name, step, value, time), which is its key to MLflow.
        """
        from mlflow.entities import Metric, Param

        match entry:
            case {"params": params}:
                self.client.log_batch(self.run, params=[Param(*pair) for pair in params.items()])
            case {"points": points}:
                batch = [Metric(name, value, at, step) for name, step, value, at in points]
                self.client.log_batch(self.run, metrics=batch)
            case {"tag": tag, "value": value}:
                self.client.set_tag(self.run, tag, value[:LONGEST_TEXT])
            case {"data": data}:
                self.log_input(DataSet(**data).as_input())
            case {"file": name}:
                self.upload(name)
            case {"status": status, "at": at}:
                self.client.set_terminated(self.run, status, at)
            case _:
                raise BadInput(f"{shown(entry)}: allowed is what a run tells MLflow")

    def log_input(self, data: Any) -> None:
        """MLflow takes the same input once. Of those who add a new data set at the same moment it
        refuses all but one; asked again, it finds what that one has added."""
        try:
            self.client.log_inputs(self.run, [data])
        except Exception as error:
            if not is_of_mlflow(error) or is_out_of_reach(error):
                raise
            self.client.log_inputs(self.run, [data])

    def upload(self, name: str) -> None:
        """One of the run's files, and no other of this machine. Raises BadInput."""
        file = (self.folder / name).resolve()
        if not file.is_relative_to(self.folder) or not file.is_file():
            raise BadInput(f"file {shown(name)}: allowed is one that is in {self.folder}")
        remote.upload_file(self.client.tracking_uri, self.location, file, Path(name).parent)
