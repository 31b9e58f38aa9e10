"""What identifies tensors: a digest of their names, types, shapes and bytes."""

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor


def fingerprint(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] = MappingProxyType({})
) -> str:
    """SHA-256 of named tensors on any device, and of what is said of them: in hex."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # of any dtype
    return digest.hexdigest()
