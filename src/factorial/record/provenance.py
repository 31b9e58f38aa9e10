"""Where a result came from, beside its recipe: the commit, installed versions, the machine."""

import functools
import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from factorial.settings.places import CHECKOUT

# Environment variables by which libraries choose their arithmetic
SWITCH = re.compile(
    r"(OMP|MKL|OPENBLAS|DNNL|ONEDNN|ATEN|CUDNN|NVIDIA_TF32|TORCH_ALLOW)_\w+"
).fullmatch
LONGEST_PATCH = 1_000_000  # characters


def ask(*command: str, **env: str) -> str:
    """What a program answers in the checkout; nothing where it can't, or there is none."""
    if CHECKOUT is None:
        return ""
    try:
        answer = subprocess.run(
            command, cwd=CHECKOUT, env=os.environ | env, capture_output=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.decode(errors="replace")


@functools.cache
def git() -> dict[str, str]:
    """The commit and branch of this checkout, and whether files differ; empty outside one."""
    commit = ask("git", "rev-parse", "HEAD").strip()
    if not commit:
        return {}
    dirty = str(bool(ask("git", "status", "--porcelain"))).lower()
    branch = ask("git", "rev-parse", "--abbrev-ref", "HEAD").strip()
    return {"git.commit": commit, "git.branch": branch, "git.dirty": dirty}


@functools.cache
def patch() -> str:
    """What differs from the commit, new files included, as `git apply` takes it."""
    if git().get("git.dirty") != "true":
        return ""
    with tempfile.TemporaryDirectory() as folder:
        index = str(Path(folder) / "index")  # of its own: the user's is not touched
        ask("git", "read-tree", "HEAD", GIT_INDEX_FILE=index)
        ask("git", "add", "--all", GIT_INDEX_FILE=index)
        text = ask("git", "diff", "--cached", "--binary", "HEAD", GIT_INDEX_FILE=index)
    return text if len(text) <= LONGEST_PATCH else ""


@functools.cache
def constant() -> dict[str, Any]:
    """What stays the same while a process lasts, flat: names of facts to plain values."""
    lock = CHECKOUT / "requirements.lock" if CHECKOUT else None
    locked = lock.read_text() if lock and lock.is_file() else ""
    return {
        **git(),
        "git.patch": hashlib.sha256(patch().encode()).hexdigest() if patch() else "",
        "lock": hashlib.sha256(locked.encode()).hexdigest() if locked else "",
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": processor(),
        "cpu.features": " ".join(sorted(features())),
        "cpu.capability": torch.backends.cpu.get_cpu_capability(),
        **accelerator(),
        **{f"installed.{name}": version for name, version in unlocked(locked).items()},
    }


def capture() -> dict[str, Any]:
    """`constant`, and the switches that decide low bits, as they are now."""
    return constant() | {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cublas workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""),
        **{f"env.{name}": value for name, value in sorted(os.environ.items()) if SWITCH(name)},
    }


def processor() -> str:
    """The CPU's model, in its maker's words."""
    if sys.platform == "darwin":
        return ask("sysctl", "-n", "machdep.cpu.brand_string").strip()
    return cpuinfo("model name") or platform.processor()


def features() -> list[str]:
    if sys.platform == "darwin":
        return ask("sysctl", "-n", "machdep.cpu.features").lower().split()
    return (cpuinfo("flags") or cpuinfo("Features")).split()


@functools.cache
def cpuinfo(field: str) -> str:
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.is_file() else ""
    match = re.search(rf"^{field}\s*: (.*)$", text, re.MULTILINE)
    return match[1] if match else ""


def accelerator() -> dict[str, str]:
    """The GPU, its driver and libraries, where there is one."""
    if not torch.cuda.is_available():
        return {}
    driver = ask(
        "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"
    ).strip()
    name, cudnn = torch.cuda.get_device_name(), torch.backends.cudnn.version()
    return {"gpu": name, "gpu.driver": driver, "cuda": str(torch.version.cuda), "cudnn": str(cudnn)}


def unlocked(locked: str) -> dict[str, str]:
    """Installed versions of packages that the lock has with another one."""
    wanted: dict[str, set[str]] = {}  # some have one for each Python
    for name, version in re.findall(r"^([\w.-]+)==([^ ;\\]+)", locked, re.MULTILINE):
        wanted.setdefault(spelled(name), set()).add(version)
    here = installed()
    return {
        name: here[name]
        for name in sorted(wanted.keys() & here.keys())
        if here[name] not in wanted[name]
    }


def installed() -> dict[str, str]:
    """Every package's version, as the folders say that installers make, NAME-VERSION.dist-info.

    To read what lies in them, as importlib.metadata does, takes 0.15 s.
    """
    folders = (file for place in sys.path for file in Path(place).glob("*.dist-info"))
    pairs = [folder.stem.partition("-") for folder in folders]
    return {spelled(name): version for name, _, version in reversed(pairs)}  # the first one counts


def spelled(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
