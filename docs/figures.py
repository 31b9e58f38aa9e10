"""The README's tables, sentences and pictures, made from recorded runs: `make readme-figures`.

    python docs/figures.py [outputs]

Issues the published sweeps, which trains what is not on record yet, and writes what they say
between the README's markers, `<!-- name -->` and `<!-- /name -->`.
"""

import re
import subprocess
import sys
from pathlib import Path

from factorial import compare, effects, findings, report, selection, store, wording
from factorial.config import Tracking
from factorial.figures import style
from factorial.findings import Findings
from factorial.store import Store

ROOT = Path(__file__).parents[1]
SWEEPS = {
    "article": "experiment=article",
    "factors": "experiment=factors",
    "lr_epochs": "experiment=lr_epochs model=mlp optimizer=sgd,adam seed=0,1,2",
    "activation": "experiment=activation",
}
PICTURES = {
    "factors": ["interactions"],
    "lr_epochs": ["map", "charts"],
    "activation": ["gradients"],
}
# accuracies of the article's own code under torch 2.15.0: on its pixels, and on scaled ones
ARTICLE = {
    "linear sgd": ("linear, SGD, lr 0.1", 0.902, 0.908),
    "mlp adam": ("MLP 784-256-256-10, ReLU, Adam, lr 0.001", 0.977, 0.977),
}


def main(outputs: str) -> None:
    for words in SWEEPS.values():
        command = [sys.executable, "train.py", "-m", *words.split(), f"outputs={outputs}"]
        subprocess.run([*command, "report=false"], cwd=ROOT, check=True)
    where = store.look_into(Tracking("local", None, "", None, None), outputs)
    found = {name: newest(where, name) for name in SWEEPS}
    with style.style():
        for name, pictures in PICTURES.items():
            for picture in report.PICTURES:
                if picture.name in pictures and (drawn := picture.draw(found[name])):
                    drawn.savefig(ROOT / "docs" / f"{picture.name}.png", dpi=110)
    text = (ROOT / "README.md").read_text()
    blocks = {
        "article": article(found["article"]),
        "factors": "\n\n".join(wording.summary(found["factors"])),
        "lr_epochs": "\n\n".join(wording.summary(found["lr_epochs"])),
        "activation": wording.vanishing(found["activation"]),
    }
    for name, block in blocks.items():
        between = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        assert between.search(text), name
        text = between.sub(lambda match, block=block: match[1] + block + "\n" + match[2], text)
    (ROOT / "README.md").write_text(text)


def newest(where: Store, experiment: str) -> Findings:
    """What the newest sweep in an experiment found."""
    known = where.client.get_experiment_by_name(experiment)
    sweeps = where._replace(experiments=(known.experiment_id,))
    return findings.find(compare.load(where, selection.of_sweep(sweeps, None)))


def article(found: Findings) -> str:
    """The article's table, with what is reached here: mean, 95 % interval, n."""
    columns = ["system", *(f"{whose}, {pixels}" for pixels in ("its pixels", "scaled")
                           for whose in ("article's code", "here"))]  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "| --- | --- | --- | --- | --- |"]
    runs = found.comparison.runs
    for setting, (system, published, scaled) in ARTICLE.items():
        own = runs[found.comparison.labels == setting]
        cells = [
            wording.estimate(effects.mean(own[name].to_numpy())) for name in ("published", "test")
        ]
        lines.append(f"| {system} | {published} | {cells[0]} | {scaled} | {cells[1]} |")
    n = runs.groupby(found.comparison.labels).size().min()
    return "\n".join([*lines, "", f"Means and 95 % intervals over n = {n} seeds."])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "outputs")
