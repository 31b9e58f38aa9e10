"""Where a run executes: seeds, orders, device, threads and determinism."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from composing import CPU, asked, configured, digits

from factorial.results import Epoch
from factorial.runs.trial import prepare
from factorial.settings.combination import Combination
from factorial.settings.messages import BadInput
from factorial.settings.schema import Device
from factorial.training import environment, trainer
from factorial.training.environment import derive_seed, permutation


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """What is process-wide is as it was, whatever a test enters."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)
    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")


# By hand: hashlib.sha256(b'[0, "init"]').digest()[:8] as a big-endian number, halved
SEEDS = {
    (0, "init"): 3_953_688_860_265_627_247,
    (1, "init"): 5_114_219_324_223_669_180,
    (0, "order", 1): 8_677_279_991_123_922_410,
    (0, "order", 2): 115_355_564_109_574_628,
    (7, "forward", 3, 11): 3_459_486_660_786_688_931,
}


@pytest.mark.parametrize("purpose", SEEDS)
def test_seeds_are_those_of_the_definition(purpose: tuple[int, str]) -> None:
    assert derive_seed(*purpose) == SEEDS[purpose]


def test_orders_are_permutations_that_the_seed_alone_decides() -> None:
    first, other = permutation(1000, 1), permutation(1000, 2)
    torch.rand(17)
    assert torch.equal(permutation(1000, 1), first)
    assert not torch.equal(first, other)
    assert first.dtype == torch.int64
    assert sorted(first.tolist()) == list(range(1000))
    drawn = torch.Generator().manual_seed(1)
    assert torch.equal(torch.randperm(1000, generator=drawn), first)


def test_an_order_takes_nothing_from_torchs_own_stream() -> None:
    before = torch.get_rng_state()
    permutation(10, 3)
    assert torch.equal(torch.get_rng_state(), before)


HERE = {"cpu": (False, False), "cuda": (True, False), "mps": (False, True)}


@pytest.fixture
def has(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A machine that has one kind of device beside its CPU."""

    def having(kind: str) -> None:
        cuda, mps = HERE[kind]
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        environment.devices.cache_clear()

    yield having
    monkeypatch.undo()
    environment.devices.cache_clear()


@pytest.mark.parametrize(
    ("kind", "devices"), {"cpu": ["cpu"], "cuda": ["cuda", "cpu"], "mps": ["mps", "cpu"]}.items()
)
def test_auto_is_the_fastest_device_that_is_here(
    kind: str, devices: list[str], has: Callable[[str], None]
) -> None:
    has(kind)
    assert environment.devices() == devices
    assert environment.choose(Device("auto", None, "float32")).type == kind
    assert environment.choose(Device("cpu", None, "float32")).type == "cpu"


def test_a_device_that_is_not_here_is_refused(has: Callable[[str], None]) -> None:
    has("mps")
    with pytest.raises(BadInput, match="device=cuda: allowed here is auto or mps, cpu"):
        environment.choose(Device("cuda", None, "float32"))


def test_a_platform_is_the_device_what_it_can_do_and_the_threads(
    has: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "Z VECTOR")
    assert environment.platform(Device("cpu", 3, "float32")) == "cpu-Z-VECTOR-3-threads"
    has("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100/80GB (x)")
    assert environment.platform(Device("cuda", 3, "float32")) == "NVIDIA-H100-80GB-x-"
    assert environment.platform(Device("cpu", 1, "float32")) == "cpu-Z-VECTOR-1-threads"


def test_a_run_has_the_threads_that_were_asked_for_or_those_that_torch_found() -> None:
    for asked_for, had in ((1, 1), (3, 3), (None, environment.FOUND_THREADS), (2, 2)):
        settings = Device("cpu", asked_for, "float32")
        environment.enter(settings)
        assert torch.get_num_threads() == environment.threads(settings) == had


def test_to_enter_sets_all_that_is_process_wide() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_deterministic_debug_mode("default")
    torch.set_float32_matmul_precision("medium")
    environment.enter(Device("cpu", 1, "float32"))
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_deterministic_debug_mode() == 2  # as an error
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_float32_matmul_precision() == "highest"


def test_cublas_is_told_to_be_deterministic_unless_the_user_told_it_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The two values that NVIDIA's documentation of cuBLAS names: :4096:8 and :16:8."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    environment.enter(Device("cpu", 1, "float32"))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    environment.enter(Device("cpu", 1, "float32"))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_checking_sets_nothing_that_is_process_wide() -> None:
    torch.set_num_threads(2)
    torch.set_deterministic_debug_mode("default")
    before, drawn = torch.get_default_dtype(), torch.get_rng_state()
    trial = prepare(asked("device.threads=1"), Combination.compose)
    assert trial.actual["threads"] == "1"
    assert torch.get_num_threads() == 2
    assert torch.get_deterministic_debug_mode() == 0
    assert torch.get_default_dtype() == before
    assert torch.equal(torch.get_rng_state(), drawn)


def settle(mode: str) -> None:
    if mode == "error":
        torch.set_deterministic_debug_mode("error")
    else:
        torch.set_deterministic_debug_mode("default")
        torch.use_deterministic_algorithms(mode == "algorithms")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_on_a_cpu_determinism_changes_no_bit(precision: str) -> None:
    """So that nothing is lost by asking for it in the way that imports no compiler."""
    words = ("model=linear", "model._target_=test_environment.Convolutional",
             "allow=[test_environment]", "schedule=one_cycle", "epochs.count=2",
             f"device.precision={precision}")  # fmt: skip
    config = configured(*words)
    splits, results = digits(config), []
    for mode in ("neither", "algorithms", "error"):
        settle(mode)
        state = trainer.start(config, CPU)
        rows: list[Epoch] = list(trainer.epochs(state, splits, config))
        logits = trainer.final(state.model, splits.test, config)[1]
        results.append(([row._replace(seconds=0.0) for row in rows], logits))
    for rows, logits in results[1:]:
        assert rows == results[0][0]  # each holds the digest of all weights and buffers
        assert torch.equal(logits, results[0][1])


class Convolutional(torch.nn.Sequential):
    """What a CPU might add up in another order: convolution, pooling, batch norm, dropout."""

    def __init__(self, shape: list[int], classes: int) -> None:
        nn = torch.nn
        super().__init__(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(72, classes),
        )  # fmt: skip


@pytest.mark.slow
def test_to_enter_imports_no_compiler_and_keeps_in_mind_what_torch_found() -> None:
    """A second of every command: `torch.use_deterministic_algorithms` imports torch._inductor."""
    lines = [
        "import sys, torch",
        "found = torch.get_num_threads()",
        "from factorial.settings.schema import Device",
        "from factorial.training import environment, trainer",
        "environment.enter(Device('cpu', found + 1, 'float32'))",
        "print('torch._inductor' in sys.modules, torch.get_num_threads() - found,",
        "      environment.threads(Device('cpu', None, 'float32')) - found)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.stdout == "False 1 0\n", done.stderr


def test_what_a_model_draws_is_what_it_would_draw_after_torchs_own_seeding() -> None:
    torch.manual_seed(7)
    wanted = torch.rand(5)
    torch.rand(3)
    environment.seed_draws(torch.device("cpu"), 7)
    assert torch.equal(torch.rand(5), wanted)
