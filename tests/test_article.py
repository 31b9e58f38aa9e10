"""The article's published numbers, within 0.005 over three seeds."""

from pathlib import Path

import pytest
from conftest import children, train

PUBLISHED = {  # by a run of the article's own code: on unscaled pixels, on scaled ones
    "linear": {"test/accuracy_as_published": 0.902, "test/accuracy": 0.908},
    "mlp": {"test/accuracy_as_published": 0.977, "test/accuracy": 0.977},
}


@pytest.mark.slow
@pytest.mark.mnist
def test_the_article_is_reproduced(tmp_path: Path) -> None:
    done = train(tmp_path, "experiment=article", "-m", timeout=400)
    assert done.returncode == 0, done.stderr
    runs = children(tmp_path)
    assert len(runs) == 6
    for model, expected in PUBLISHED.items():
        seeds = [run for run in runs if run.data.params["model"] == model]
        assert sorted(run.data.params["seed"] for run in seeds) == ["0", "1", "2"]
        for metric, accuracy in expected.items():
            for run in seeds:
                assert run.data.metrics[metric] == pytest.approx(accuracy, abs=0.005)
