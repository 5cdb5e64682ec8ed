"""The one training loop: every kind, one process or many, CPU or GPU."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import torch

from steelyard.core.errors import InputError
from steelyard.tune.checkpoint import Checkpoint, Checkpoints, Position
from steelyard.tune.crew import Crew
from steelyard.tune.order import Order, pieces
from steelyard.tune.recipe import Recipe
from steelyard.tune.schedule import every, factor, num_steps
from steelyard.tune.stops import Stopped, diverged, not_finite, out_of_memory
from steelyard.tune.task import Sets, Task

_FIRST, _WATCHED = 5, 20  # losses at the start, and the newest: their means tell divergence
_NO_DECAY_DIMS = 1  # biases and norms are left out of weight decay


@dataclass(frozen=True, slots=True)
class Watch:
    """What the loop tells and asks on its way. `metrics` takes one line of `metrics.jsonl`;
    `stop` gives why the run should end after its step, "" to go on."""

    metrics: Callable[[Mapping[str, Any]], None]
    stop: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished loop: the model holds the best weights where they were kept."""

    model: torch.nn.Module
    position: Position
    after: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Probed:
    """What some steps took together, the tokens in them, and what one evaluation took; `around`
    are the trial of the longest batch and all of the run's checkpoints."""

    seconds: float
    tokens: int
    evaluation: float
    around: float


class Loop:
    """Learns from examples, in steps that are functions of seed, step and weights alone.

    A run that is killed and goes on from a checkpoint ends with the weights of one that was not;
    bitwise so with one thread.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        sets: Sets,
        *,
        crew: Crew,
        checkpoints: Checkpoints,
        watch: Watch,
    ) -> None:
        self._task, self._recipe, self._sets = task, recipe, sets
        self._crew, self._checkpoints, self._watch = crew, checkpoints, watch
        crew.check_batch(recipe.train)
        train = recipe.train
        self.num_steps = num_steps(train, num_examples=len(sets.train.examples))
        self._order = Order(sets.train.lengths, batch_size=train.batch_size, seed=recipe.seed)
        self._eval_every = every(train.eval_every, self.num_steps)
        self._checkpoint_every = every(train.checkpoint_every, self.num_steps)
        torch.manual_seed(recipe.seed)
        model = task.model()
        self._model, self._optimizer = crew.prepare(model, self._new_optimizer(model))
        self._model.train()  # a loaded model comes without its dropout
        self._position = Position()
        self._best: Mapping[str, torch.Tensor] | None = None
        self._go_on_from_checkpoint()

    @property
    def position(self) -> Position:
        return self._position

    def run(self) -> Ended:
        """Learn to the end, and return with the best weights, if those are kept.

        Raises:
            Stopped: the run was asked to end; it can go on from a checkpoint.
            InputError: it cannot go on as it is (memory, no number, divergence); says why.
        """
        began = time.perf_counter()
        self._try_longest()
        if self._position.step == 0:
            self._evaluate()
        while self._position.step < self.num_steps and not self._stale():
            self._step()
            step = self._position.step
            last = step == self.num_steps
            if step % self._eval_every == 0 or last:
                self._evaluate()
            reason = self._crew.agreed(self._watch.stop())
            if reason or last or step % self._checkpoint_every == 0:
                self._save()
            if reason and not last:
                raise Stopped(reason)
        self._take_best()
        after = self._measured_all()
        took = time.perf_counter() - began
        return Ended(self._crew.plain(self._model), self._position, after, took)

    def probe(self, steps: Sequence[int]) -> Probed:
        """Do some steps of the run, one evaluation and one checkpoint, only to time them."""
        tried = time.perf_counter()
        self._try_longest()
        around = time.perf_counter() - tried
        tokens, began = 0, 0.0
        for n, step in enumerate((steps[0], *steps)):
            if n == 1:  # the first has warmed up
                tokens, began = 0, time.perf_counter()
            self._position = Position(step=step)
            self._step()
            tokens += self._position.tokens
        took = time.perf_counter() - began
        began = time.perf_counter()
        self._measured_all()
        evaluation = time.perf_counter() - began
        began = time.perf_counter()
        self._save()
        saves = math.ceil(self.num_steps / self._checkpoint_every)
        around += saves * (time.perf_counter() - began)
        return Probed(took, tokens, evaluation, around)

    def _step(self) -> None:
        position, train = self._position, self._recipe.train
        step = position.step
        indices = self._order.batch(step)
        rate = factor(train, step=step, steps=self.num_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = group["base_lr"] * rate
        loss = self._accumulated(indices, step=step)
        if not math.isfinite(loss):
            raise not_finite("loss", loss, step=step + 1, lr=train.lr * rate)
        norm = self._crew.clip(self._model, train.max_grad_norm)
        if not math.isfinite(norm):
            raise not_finite("gradient", norm, step=step + 1, lr=train.lr * rate)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        tokens = sum(self._sets.train.lengths[n] for n in indices)
        self._position = replace(
            position,
            step=step + 1,
            tokens=position.tokens + int(tokens),
            examples=position.examples + len(indices),
            start=(*position.start, loss)[:_FIRST],
            recent=(*position.recent, loss)[-_WATCHED:],
        )
        self._tell_step(loss, lr=train.lr * rate, norm=norm)
        self._check_divergence()

    def _accumulated(self, indices: Any, *, step: int) -> float:
        """Add up the gradients of a step's pieces; return its mean loss over all targets."""
        crew, task = self._crew, self._task
        parts = pieces(
            indices,
            accumulate=self._recipe.train.accumulate,
            process=crew.process,
            num_processes=crew.num_processes,
        )
        batches = [self._batch(part) for part in parts]
        num_targets = crew.total(sum(task.weight(batch) for batch in batches))
        if num_targets <= 0:
            raise InputError(
                f"step {step + 1}: no target in a batch of {len(indices)} rows, so nothing can be "
                "learnt from it; remove rows without targets (`steelyard data validate`)"
            )
        loss = 0.0
        for piece, batch in enumerate(batches):
            # Chance (dropout) hangs on where we are alone, so there is no generator to restore.
            seed = np.random.SeedSequence([self._recipe.seed, step, piece, crew.process])
            torch.manual_seed(int(seed.generate_state(1, np.uint64)[0]))
            with crew.alone(self._model, last=piece == len(batches) - 1):
                summed = task.loss(self._model, batch)
                # Gradients of several processes are averaged, and we want their sum.
                crew.backward(summed * (crew.num_processes / num_targets))
            loss += float(summed.detach())
        return crew.total(loss) / num_targets

    def _try_longest(self) -> None:
        """Do the step that needs most memory first, and forget it: out of memory comes now."""
        train = self._recipe.train
        part = self._order.longest()[: train.batch_size // train.accumulate]
        try:
            batch = self._batch(part[self._crew.process :: self._crew.num_processes])
            torch.manual_seed(self._recipe.seed)
            summed = self._task.loss(self._model, batch)
            self._crew.backward(summed / max(1.0, self._task.weight(batch)))
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            raise out_of_memory(
                error, self._recipe, longest=max(self._sets.train.lengths)
            ) from error
        self._optimizer.zero_grad(set_to_none=True)

    def _batch(self, indices: Any) -> Mapping[str, Any]:
        examples = [self._sets.train.examples[n] for n in indices]
        return self._crew.placed(self._task.collate(examples))

    def _evaluate(self) -> None:
        """Measure, and remember the weights if they are the best so far."""
        values = self._measured_all()
        if not values:
            return
        step = self._position.step
        self._tell({"step": step, "at": time.time(), "eval": values})
        metric = values.get(self._task.metric)
        if metric is None or not self._recipe.train.keep_best:
            return
        if self._position.best is None or metric > self._position.best:
            self._position = replace(self._position, best=metric, best_step=step, stale=0)
            self._best = self._crew.state(self._model)
        else:
            self._position = replace(self._position, stale=self._position.stale + 1)

    def _measured_all(self) -> dict[str, float]:
        """Return the measures on both sets; those on `eval` last, for what a task remembers."""
        values: dict[str, float] = {}
        for name, prepared in (("guard_", self._sets.guard), ("", self._sets.eval)):
            if prepared is not None:
                found = self._measured(prepared.examples)
                values |= {name + key: value for key, value in found.items()}
        return values

    def _measured(self, examples: Sequence[Any]) -> Mapping[str, float]:
        self._model.eval()
        try:
            with torch.no_grad():
                return self._task.evaluate(self._model, examples)
        finally:
            self._model.train()

    def _stale(self) -> bool:
        patience = self._recipe.train.patience
        return bool(patience) and self._position.stale >= patience

    def _check_divergence(self) -> None:
        start, recent = self._position.start, self._position.recent
        if self._position.step >= _FIRST + _WATCHED and fmean(recent) > 2 * fmean(start) + 0.5:
            raise diverged(fmean(start), fmean(recent), self._position.step, self._recipe.train.lr)

    def _save(self) -> None:
        checkpoint = Checkpoint(
            self._position,
            self._crew.state(self._model),
            self._crew.optimizer_state(self._model, self._optimizer),
            self._best,
        )
        if self._crew.first:
            self._checkpoints.save(checkpoint)
        self._crew.wait()

    def _go_on_from_checkpoint(self) -> None:
        found = self._checkpoints.latest()
        if found is None:
            return
        self._crew.load(self._model, found.weights)
        self._crew.load_optimizer(self._model, self._optimizer, found.optimizer)
        self._position, self._best = found.position, found.best

    def _take_best(self) -> None:
        """End with the best weights, and as much of their change as the recipe keeps."""
        if self._best is not None:
            self._crew.load(self._model, self._best)
        if (strength := self._recipe.lora.strength) < 1:
            state = self._crew.state(self._model)
            # The change is alpha / r times B A, so that B alone tells how large it is.
            kept = {name: one * strength for name, one in state.items() if ".lora_B." in name}
            self._crew.load(self._model, kept)

    def _tell_step(self, loss: float, *, lr: float, norm: float) -> None:
        position = self._position
        line = {"step": position.step, "loss": loss, "lr": lr, "grad_norm": norm}
        self._tell(
            line | {"tokens": position.tokens, "examples": position.examples, "at": time.time()}
        )

    def _tell(self, line: Mapping[str, Any]) -> None:
        if self._crew.first:
            self._watch.metrics(line)

    def _new_optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """Return AdamW; the head learns at its own rate, and what has one dimension does not
        decay."""
        train = self._recipe.train
        groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                lr = train.head_lr if train.head_lr and self._task.head(name) else train.lr
                decay = train.weight_decay if parameter.ndim > _NO_DECAY_DIMS else 0.0
                groups.setdefault((lr, decay), []).append(parameter)
        assert groups, "a task must leave something to be trained"
        return torch.optim.AdamW(
            [
                {"params": parameters, "lr": lr, "base_lr": lr, "weight_decay": decay}
                for (lr, decay), parameters in groups.items()
            ]
        )
