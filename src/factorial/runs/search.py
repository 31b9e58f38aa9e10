"""A search: trials asked for in batches, each batch run as members of one sweep, then told."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from factorial import console
from factorial.record import labels, writing
from factorial.runs import closing, rungs
from factorial.runs.applying import Applying
from factorial.runs.candidate import COMPLETE, PRUNED, Candidate
from factorial.runs.jobs import Launcher
from factorial.runs.members import Member, adopt, check, distinct, sweep_id
from factorial.runs.parent import open_search
from factorial.runs.run import reach
from factorial.runs.space import EPOCHS, Space, most
from factorial.runs.study import Study, locked
from factorial.runs.sweep import Sweep, checked, experiment_of, report
from factorial.runs.trial import Compose, Family
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput
from factorial.settings.parsing import parse
from factorial.settings.recipe import digest
from factorial.settings.schema import Config
from factorial.settings.search import Search
from factorial.training import sizes

OBJECTIVE = "validation/accuracy"


def run_search(
    base: DictConfig,
    typed: list[str],
    search: Search,
    space: Space,
    compose: Compose,
    launcher: Launcher | None = None,
) -> None:
    """Bring a search to its end: as many trials as it has, each below one parent run.

    The same space, fixed settings, sampler and seeds are the same search, which goes on wherever an
    earlier command left it. Raises SystemExit(1) if a trial failed, BadInput where none can start.
    """
    settings = parse(Combination.split(base).composed)
    refuse(settings)
    words = [Candidate(None, space.words(params)) for params in space.probes()]
    probes = checked([one.lengthened(None, search.seeds[0]) for one in words], compose)
    space = space._replace(fit=Applying(compose).fit)
    lengths = check_probes(probes, search, space, compose)
    tracking = replace(settings.tracking, experiment=experiment_of(probes, settings))
    settings = replace(settings, tracking=tracking)
    identity = identify(probes, search, space, lengths)
    file = Path(settings.outputs).resolve() / "studies" / f"{identity[:32]}.db"
    if settings.plan:
        done = len(Study(file, search, space.varying).trials) if file.exists() else 0
        closing.show_plan(search, done, most(search, space), identity, lengths)
        return
    closing.require_ledger(settings)
    with (
        locked(file),
        writing.recording(
            open_search(reach(settings), identity, typed, file, settings.labels)
        ) as run,
    ):
        study = Study(file, search, space.varying)
        family = Family(run.id, identity, tracking.experiment)
        called = f" ({settings.name})" if settings.name else ""
        known = len(study.trials)
        console.say(f"search {identity[:8]}{called}: {known} trials on record, run {run.id}")
        Searching(settings, study, space, lengths, compose, launcher, family).run(run)
        run.status = "FAILED" if closing.failures(study) else "FINISHED"
    closing.close(settings, study, space, identity)
    if settings.report and settings.tracking.kind != "off":
        report(reach(settings), run.id, settings.rank_by)
    if closing.failures(study):
        raise SystemExit(1)


def refuse(settings: Config) -> None:
    """Raises BadInput for what a sweep can do and a search can't."""
    if settings.fresh:
        raise BadInput("fresh=true: allowed in a search is false; outputs=FOLDER starts a new one")
    if settings.rank_by != OBJECTIVE:
        raise BadInput(
            f"rank_by={settings.rank_by}: allowed in a search is {OBJECTIVE}, by which its trials "
            f"are compared"
        )
    if settings.on_failure != "continue":
        raise BadInput(
            f"on_failure={settings.on_failure}: allowed in a search is continue, for it is told of "
            f"a failure and goes on"
        )


def check_probes(
    probes: Sequence[Member], search: Search, space: Space, compose: Compose
) -> list[int]:
    """The rungs, in epochs. Raises BadInput for a search whose trials could not be compared."""
    trials = [member.trial for member in probes if member.trial]
    if not trials:
        raise BadInput(f"no trial can start: {probes[0].reason}")
    for trial in trials:
        if not sizes.validation_examples(trial.config.data):
            share = trial.config.data.validation_share
            raise BadInput(
                f"data.validation_share={share}: allowed in a search is what holds images out, for "
                f"trials are never compared on the test set"
            )
    counts = [trial.config.epochs.count for trial in trials]
    lengths = rungs.lengths(search, max(counts))
    if len(lengths) > 1 and set(EPOCHS) & space.varying.keys():
        raise BadInput(
            f"epochs: allowed with hydra.sweeper.pruner={search.pruner} is one number, the length "
            f"of a whole trial"
        )
    if len(lengths) > 1:
        require_continuing(probes, lengths[0], search, compose)
    return lengths


def require_continuing(
    probes: Sequence[Member], length: int, search: Search, compose: Compose
) -> None:
    """Raises BadInput where a longer run would not go on from a shorter one."""
    for member in probes:
        if member.trial is None:
            continue
        words = Candidate(None, member.words).lengthened(length, search.seeds[0])
        short = check(words, compose).trial
        if short and short.recipe.trunk != member.trial.recipe.trunk:
            option = member.trial.combination.option("schedule")
            raise BadInput(
                f"schedule={option}: allowed with hydra.sweeper.pruner={search.pruner} is one that "
                f"knows no end, for a trial goes on from rung to rung"
            )


def identify(probes: Sequence[Member], search: Search, space: Space, lengths: Sequence[int]) -> str:
    """The same for the same space, fixed settings, code, data, sampler, pruner and seeds.

    Neither the number of trials nor how many are run at once is part of it.
    """
    asked = {k: v for k, v in asdict(search).items() if k not in ("params", "trials", "at_once")}
    if search.pruner != "halving":
        asked.pop("reduction")
    return digest([sweep_id(probes), closing.spelled(space), asked | {"rungs": list(lengths)}])


class Searching:
    """The trials of one search, run by one process; launchers have their own."""

    def __init__(
        self,
        settings: Config,
        study: Study,
        space: Space,
        lengths: Sequence[int],
        compose: Compose,
        launcher: Launcher | None,
        family: Family,
    ) -> None:
        self.settings, self.study, self.space, self.lengths = settings, study, space, lengths
        self.compose, self.launcher, self.family = compose, launcher, family
        self.search = study.search

    def run(self, parent: writing.Run) -> None:
        """Ask, run, tell, and keep, until there are as many trials as were asked for."""
        self.write(parent)
        while asked := self.study.ask(most(self.search, self.space)):
            for one in self.bring(asked):
                self.study.tell(one.number, one.state, one.value if one.state == COMPLETE else None)
                closing.show_trial(one, self.study)
            self.write(parent)
            self.study.keep()

    def write(self, parent: writing.Run) -> None:
        document = closing.document(self.study, self.space, self.lengths)
        parent.write(closing.FILE, json.dumps(document, indent=1) + "\n")

    def bring(self, asked: Sequence[Any]) -> list[Candidate]:
        """A batch of trials to their ends, rung by rung."""
        every = [Candidate(trial, self.space.words(trial.params)) for trial in asked]
        going = every
        for length in self.lengths:
            self.bring_to(length, going)
            going = [one for one in going if not one.state]
            going = self.pruned(length, going) if length < self.lengths[-1] else going
        for one in going:
            one.state = COMPLETE
        return every

    def bring_to(self, length: int, going: Sequence[Candidate]) -> None:
        """All of them to this rung: each on from the one before, from the record, or trained."""
        epochs = length if len(self.lengths) > 1 else None
        members = [
            [check(one.lengthened(epochs, seed), self.compose) for seed in self.search.seeds]
            for one in going
        ]
        different = distinct([member for several in members for member in several])
        sweep = Sweep(self.settings, different, self.launcher)
        ended = sweep.bring_all(adopt(different, self.family), self.family) if different else []
        outcomes = {member.id: end for member, end in zip(different, ended, strict=True)}
        for one, several in zip(going, members, strict=True):
            trial = several[0].trial
            one.take([outcomes[m.id] for m in several], trial.config.epochs.count if trial else 0)
            self.label(one, trial=self.numbers(one))

    def numbers(self, one: Candidate) -> str:
        """Of all trials that have these runs."""
        params = one.trial.params
        return ", ".join(str(other.number) for other in self.study.trials if other.params == params)

    def pruned(self, length: int, going: Sequence[Candidate]) -> list[Candidate]:
        """Those that go on beyond a rung; the others have ended, and say so on record."""
        if self.search.pruner == "halving":
            values = {one.number: one.values[length] for one in going}
            better = rungs.promoted(values, self.search.reduction)
        else:
            better = {one.number for one in going if not one.trial.should_prune()}
        for one in going:
            if one.number not in better:
                one.state = PRUNED
                self.label(one, pruned=f"after {length} of {self.lengths[-1]} epochs")
        return [one for one in going if not one.state]

    def label(self, one: Candidate, **tags: str) -> None:
        store = reach(self.settings)
        for run in one.runs:
            labels.put(store, run, **tags)
