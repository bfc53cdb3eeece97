"""PyTorch as tests use it: tensors are arrays to numpy, and one thread computes."""

import torch
from keras import ops


def set_up():
    """Let numpy take any tensor for an array, as it does tensors of the other backends."""
    torch.set_num_threads(1)  # tests compute little, and processes side by side wait for threads

    def as_array(tensor, dtype=None, copy=None):
        del copy
        tensor = tensor.detach().cpu()
        is_known = tensor.dtype is not torch.bfloat16
        array = tensor.numpy() if is_known else ops.convert_to_numpy(tensor)
        return array if dtype is None else array.astype(dtype)

    torch.Tensor.__array__ = as_array
    torch.Tensor.__array_wrap__ = lambda tensor, array, *others: array
