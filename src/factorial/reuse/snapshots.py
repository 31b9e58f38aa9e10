"""The weights of recorded runs on their way, by running them again: nothing of it is stored."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from factorial import console
from factorial.motion.trajectory import Trajectory
from factorial.record.reading import RecordedRun
from factorial.record.store import Store
from factorial.results import Diverged, Epoch
from factorial.reuse import evidence, replay
from factorial.reuse.evidence import RunFiles
from factorial.runs.trial import Trial, prepare
from factorial.settings.messages import BadInput
from factorial.training import data, environment, sizes, trainer
from factorial.training.data import Split

MOST = 2_000  # snapshots together
BYTES = 2**30  # of them, together
AT_ONCE = trainer.EVALUATED_AT_ONCE

Shapes = dict[str, list[int]]  # of parameters, by their names


class Ready(NamedTuple):
    """A recorded run that can be run again, here."""

    files: RunFiles
    trial: Trial
    shapes: Shapes

    @property
    def run(self) -> RecordedRun:
        return self.files.run

    @property
    def epochs(self) -> int:
        return replay.epochs(self.files)

    def fits(self, other: "Ready") -> bool:
        """Whether the parameters are the same, in one order."""
        return list(self.shapes.items()) == list(other.shapes.items())

    def snapshots(self, every: int | None) -> int:
        """How many there will be, the start and the end among them."""
        batches = self.epochs * sizes.steps_per_epoch(self.trial.config.data)
        return 1 + (self.epochs if every is None else -(-batches // every))


def ready(store: Store, run: RecordedRun, settings: dict[str, Any]) -> Ready:
    """Raises BadInput for a run without a result, or that can't run here on its own data."""
    files = evidence.read(store, run)
    if not replay.epochs(files):
        raise BadInput(f"run={run.id}: metrics.json has no epoch; allowed is a run with a way")
    changed = replay.changes(files, settings, store) | replay.place(run, files.config, settings)
    trial = prepare(evidence.combination(run, files.config, changed), replay.refuse)
    evidence.require_data(run, files.recipe.get("data"), trial.recipe.document["data"])
    model = trainer.start(trial.config, trial.device).evaluated
    return Ready(files, trial, {name: list(one.shape) for name, one in model.named_parameters()})


def require_few(runs: Sequence[Ready], every: int | None) -> None:
    """Raises BadInput where the snapshots would be too many, or too large together."""
    count = sum(one.snapshots(every) for one in runs)
    parameters = sum(torch.Size(shape).numel() for shape in runs[0].shapes.values())
    most = min(MOST, BYTES // (4 * parameters))
    if count > most:
        raise BadInput(
            f"every={every or 'epoch'}: {count:,} snapshots of {parameters:,} weights; allowed are "
            f"{most:,}, by a larger every, or fewer runs"
        )


def taken(one: Ready, every: int | None) -> tuple[Trajectory, nn.Module]:
    """A run's weights at its start and after each epoch, or every so many batches and the last; and
    its model as it ended.

    Of a model with averaged weights those that predict. Raises BadInput.
    """
    config, device = one.trial.config, one.trial.device
    environment.enter(config.device)
    splits = data.load(config.data, device)
    state = trainer.start(config, device)
    steps = sizes.steps_per_epoch(config.data)
    weights, batches, digests = [flat(state.evaluated)], [0], {}
    with console.Display(brief=True).training(one.trial.name, one.epochs) as line:
        try:
            for event in trainer.fit(state, splits, config):
                behind = state.epoch * steps + state.batch
                if isinstance(event, Epoch):
                    digests[event.epoch] = event.weights
                    line.epoch(event)
                ended = isinstance(event, Epoch) and (every is None or event.epoch == one.epochs)
                if ended or (every is not None and behind % every == 0):
                    weights.append(flat(state.evaluated))
                    batches.append(behind)
                if isinstance(event, Epoch) and event.epoch == one.epochs:
                    break  # what is not on record is not its way
        except Diverged as error:
            raise BadInput(f"run={one.run.id}: run again here, it diverges ({error})") from error
    require_numbers(one.run, weights, batches)
    parted, held = against(one.files, digests)
    way = Trajectory(
        run=one.run.id,
        name=one.run.name,
        weights=torch.stack(weights),
        batches=batches,
        epochs=[behind / steps for behind in batches],
        parted=parted,
        held=held,
        data=str(one.trial.recipe.document["data"]),
    )
    return way, state.evaluated


def require_numbers(run: RecordedRun, weights: Sequence[Tensor], batches: Sequence[int]) -> None:
    """Raises BadInput where a snapshot has a weight that is no finite number."""
    for vector, behind in zip(weights, batches, strict=True):
        if not torch.isfinite(vector).all():
            raise BadInput(
                f"run={run.id}: after {behind:,} batches not all of its weights are finite "
                f"numbers; allowed is a run whose way can be drawn"
            )


def flat(model: nn.Module) -> Tensor:
    """A copy of a model's parameters, its buffers not, as one vector on the CPU."""
    return torch.cat([one.detach().reshape(-1) for one in model.parameters()]).cpu()


def against(files: RunFiles, digests: dict[int, str]) -> tuple[int | None, int]:
    """The first epoch whose weights are others than on record, and how many epochs could be held
    against it."""
    recorded = {
        epoch: value
        for epoch, name, value in files.results["metrics.json"]
        if name == "weights" and value
    }
    shared = sorted(recorded.keys() & digests.keys())
    others = (epoch for epoch in shared if recorded[epoch] != digests[epoch])
    return next(others, None), len(shared)


def sample(one: Ready, count: int) -> tuple[Split, int]:
    """So many of the run's training examples, or all, the same for any run on the same data; and
    how many there are."""
    train = data.load(one.trial.config.data, one.trial.device).train
    drawn = environment.permutation(len(train), environment.derive_seed(0, "surface"))[:count]
    return train.at(drawn.to(train.labels.device)), len(train)


def loss_of(model: nn.Module, split: Split) -> Callable[[Tensor], float]:
    """The mean cross-entropy on a split of the model with parameters given as one vector, of any
    precision, and its own buffers."""
    model.eval()
    parameters = dict(model.named_parameters())
    lengths = [parameter.numel() for parameter in parameters.values()]
    batches = [
        split[index] for index in torch.arange(len(split)).to(split.labels.device).split(AT_ONCE)
    ]

    @torch.inference_mode()
    def loss(weights: Tensor) -> float:
        put = {
            name: part.to(like).view(like.shape)
            for (name, like), part in zip(parameters.items(), weights.split(lengths), strict=True)
        }
        environment.seed_draws(split.labels.device, environment.derive_seed(0, "evaluation"))
        losses = [
            F.cross_entropy(functional_call(model, put, (images,)).float(), labels, reduction="sum")
            for images, labels in batches
        ]
        return torch.stack(losses).sum().item() / len(split)

    return loss
