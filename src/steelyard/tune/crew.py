"""The processes and devices that train together, through accelerate: one, or many."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import DistributedType, broadcast_object_list

from steelyard.core.errors import InputError, SetupError
from steelyard.tune.recipe import TrainRecipe

# Ways of training together whose checkpoints are proved to go on as if nothing had happened.
_KNOWN = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


class Crew:
    """One process's view of all: where tensors live, and what others have."""

    def __init__(self, train: TrainRecipe) -> None:
        """Join the processes that `accelerate launch` started; alone where it did not.

        Raises:
            SetupError: a GPU was asked for and there is none.
        """
        if train.device == "cuda" and not torch.cuda.is_available():
            raise SetupError(
                "train.device is 'cuda', and torch sees no GPU; set train.device: auto, or "
                "install torch for your GPU (https://pytorch.org/get-started)"
            )
        self._accelerator = Accelerator(
            cpu=train.device == "cpu",
            mixed_precision="bf16" if train.precision == "bf16" else "no",
        )
        if self._accelerator.distributed_type not in _KNOWN:
            raise SetupError(
                f"accelerate is set up for {self._accelerator.distributed_type.value}, and runs "
                "share their weights whole (DDP) so far; run `accelerate launch --multi_gpu`"
            )

    @property
    def process(self) -> int:
        return int(self._accelerator.process_index)

    @property
    def num_processes(self) -> int:
        return int(self._accelerator.num_processes)

    @property
    def first(self) -> bool:
        """Tell whether this process writes files and talks."""
        return bool(self._accelerator.is_main_process)

    @property
    def device(self) -> torch.device:
        return self._accelerator.device

    def check_batch(self, train: TrainRecipe) -> None:
        """Raise InputError if a step cannot be shared evenly."""
        parts = train.accumulate * self.num_processes
        if train.batch_size % parts:
            raise InputError(
                f"train.batch_size {train.batch_size} is not shared evenly by {self.num_processes} "
                f"processes in {train.accumulate} pieces; make it a multiple of {parts}"
            )

    def prepare(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        prepared = self._accelerator.prepare(model, optimizer)
        return prepared[0], prepared[1]

    def placed(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return a batch with its tensors on this process's device."""
        return {key: _to(value, self.device) for key, value in batch.items()}

    @contextmanager
    def alone(self, model: torch.nn.Module, *, last: bool) -> Iterator[None]:
        """Add up gradients here; only the last piece of a step shares them."""
        with nullcontext() if last else self._accelerator.no_sync(model):
            yield

    def backward(self, loss: torch.Tensor) -> None:
        self._accelerator.backward(loss)

    def clip(self, model: torch.nn.Module, limit: float) -> float:
        """Scale gradients down to a norm; return the norm that they had."""
        trained = [one for one in model.parameters() if one.requires_grad]
        return float(self._accelerator.clip_grad_norm_(trained, limit))

    def total(self, value: float) -> float:
        """Return the sum of all processes' values."""
        if self.num_processes == 1:
            return float(value)
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        return float(self._accelerator.reduce(tensor, reduction="sum")[0])

    def agreed(self, reason: str) -> str:
        """Return the first process's word: all go on, or none."""
        if self.num_processes == 1:
            return reason
        reasons = [reason]
        broadcast_object_list(reasons)
        return reasons[0]

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()

    def plain(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model without what accelerate wrapped around it."""
        unwrapped: torch.nn.Module = self._accelerator.unwrap_model(model)
        return unwrapped

    def state(self, model: torch.nn.Module) -> dict[str, torch.Tensor]:
        """Return copies, on the CPU, of what is trained, by the plain model's names."""
        trained = {n for n, one in self.plain(model).named_parameters() if one.requires_grad}
        whole = self._accelerator.get_state_dict(model)
        return {
            name: tensor.detach().to("cpu", copy=True).contiguous()
            for name, tensor in whole.items()
            if name in trained
        }

    def load(self, model: torch.nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
        parameters = dict(self.plain(model).named_parameters())
        with torch.no_grad():
            for name, tensor in weights.items():
                parameters[name].copy_(tensor)

    def optimizer_state(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> dict[str, Any]:
        return dict(optimizer.state_dict())

    def load_optimizer(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        state: Mapping[str, Any],
    ) -> None:
        optimizer.load_state_dict(dict(state))

    def close(self) -> None:
        """End the processes' group, so that another run may begin in this process."""
        self._accelerator.end_training()
        if self.num_processes > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        AcceleratorState._reset_state(True)
        GradientState._reset_state()
        PartialState._reset_state()


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, tuple | list):
        return type(value)(_to(one, device) for one in value)
    return value
