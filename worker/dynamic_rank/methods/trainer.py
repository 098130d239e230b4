"""MethodTrainerMixin: adds a RankMethod to any transformers Trainer."""

# ruff: noqa: ARG002  (signatures are those of TrainerCallback, Trainer and RankMethod)
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import Trainer

from ..training.distributed import rebuild_reducer
from ..training.trainer_checks import check_sharding
from .protocol import RankMethod

# super() of the mixin is the Trainer that it is combined with; the type checker needs to know that.
if TYPE_CHECKING:
    _Base = Trainer
else:
    _Base = object


class MethodTrainerMixin(_Base):
    """Adds a method's loss term, learning rates and checkpoints to a Trainer.

    Pass `method=` (after `prepare`) in addition to Trainer's own arguments, and the method's callbacks in `callbacks`.
    Checkpoints contain the method's files (safetensors and JSON) and Trainer's optimizer, scheduler and random state;
    `train(resume_from_checkpoint=...)` is bit-identical on a CPU. `save_model(folder)` exports. A metric counts for the
    best model once the ranks are final.
    """

    def __init__(self, *args: Any, method: RankMethod, **kwargs: Any) -> None:
        if kwargs.get("model_init") is not None:
            raise ValueError(
                "model_init creates a new model for every training, but a method works on the model that it prepared. For a "
                "hyperparameter search use DynamicRankCallback in a plain Trainer, with wrap() inside model_init, or create "
                "a method and a Trainer for each trial."
            )
        self.method = method
        self._is_initialized = False
        super().__init__(*args, **kwargs)

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Trainer's loss, plus the method's term during training."""
        # Before the forward pass, so that the term's backward pass runs last, when the activations are freed.
        term = self.method.loss_term() if model.training else None
        result: Any = super().compute_loss(model, inputs, return_outputs, num_items_in_batch=num_items_in_batch)
        if term is None:
            return result
        loss, outputs = result if return_outputs else (result, None)
        if self._is_scaled_for_accumulation(num_items_in_batch):
            # Trainer will not divide this loss by the number of batches, so the term would count once per batch.
            term = term / self.current_gradient_accumulation_steps
        loss = loss + term.to(loss.device, loss.dtype)
        return (loss, outputs) if return_outputs else loss

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """Trainer's forward and backward pass of a batch, then the gradients that the method adds in closed form."""
        loss: Tensor = super().training_step(*args, **kwargs)
        scaler = getattr(self.accelerator, "scaler", None)
        scale = None
        if scaler is not None and scaler.is_enabled():
            scale = scaler.scale(torch.ones((), device=loss.device))
        term = self.method.add_gradients(scale)
        return loss if term is None else loss + term.to(loss.device, loss.dtype)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Trainer's optimizer, with separate groups for parameters whose learning rate is scaled."""
        if self.optimizer is not None:
            _check_scaled(self.optimizer, self.method.learning_rate_scales())
            return super().create_optimizer(model)
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        for parameters, scale in self.method.learning_rate_scales():
            _move_to_scaled_groups(optimizer, parameters, scale)
        return optimizer

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """All parameters if the method decays every parameter, otherwise Trainer's choice."""
        if self.method.decays_every_parameter:
            return [name for name, _ in model.named_parameters()]
        names: list[str] = super().get_decay_parameter_names(model)
        return names

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the method's state in a checkpoint; otherwise write the export, which push_to_hub also uploads."""
        folder = output_dir or self.args.output_dir or "."
        if not self.args.should_save:
            return
        os.makedirs(folder, exist_ok=True)
        is_checkpoint = _internal_call and output_dir is not None
        if is_checkpoint:
            self.method.save_state(folder)
            if not self.args.push_to_hub:
                return
        self.method.export(folder)
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trainer's `train`, which initialises the method first unless it resumes.

        Raises RuntimeError if the method's callbacks are not attached (the ranks would never change), and ValueError with
        FSDP or DeepSpeed, which shard the tensors.
        """
        check_sharding(self.args)
        self.method.check_attached(self.callback_handler.callbacks)
        self.method.bind(lambda: rebuild_reducer(self.model_wrapped))
        if not resume_from_checkpoint:
            self.initialize_method()
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def initialize_method(self) -> None:
        """Call the method's `initialize` with the training batches, once."""
        if not self._is_initialized:
            self._is_initialized = True
            self.method.initialize(_OnDevice(self))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.method.load_state(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        best = self.state.best_model_checkpoint
        if best is not None:
            self.method.load_state(best)

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        # Before the final mask, a metric belongs to a larger model than the one that is kept.
        return bool(super()._determine_best_metric(metrics, trial)) if self.method.is_settled else False

    def _is_scaled_for_accumulation(self, num_items_in_batch: Any) -> bool:
        """Whether `training_step` does not divide the loss, by Trainer's own rule."""
        if self.loss_is_scaled_for_ga is not None:
            return bool(self.loss_is_scaled_for_ga)
        by_model = self.model_accepts_loss_kwargs and num_items_in_batch is not None
        return bool(by_model or self.compute_loss_func is not None)


class _OnDevice:
    """A Trainer's training batches, as its model receives them."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._loader = trainer.get_train_dataloader()

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (dict(self._trainer._prepare_inputs(batch)) for batch in self._loader)


def make_trainer_class(base: type[Trainer] = Trainer) -> type[Any]:
    """A subclass of `base` (Trainer, Seq2SeqTrainer or your own) with MethodTrainerMixin, which takes `method=`."""
    return type(f"Method{base.__name__}", (MethodTrainerMixin, base), {})


def _check_scaled(optimizer: torch.optim.Optimizer, scales: list[tuple[list[nn.Parameter], float]]) -> None:
    """ValueError if an optimizer created by the caller lacks the learning rates that the method needs."""
    rates = {id(parameter): float(group["lr"]) for group in optimizer.param_groups for parameter in group["params"]}
    for parameters, scale in scales:
        scaled = {id(parameter) for parameter in parameters}
        usual = {rate for key, rate in rates.items() if key not in scaled}
        if any(abs(rates[key] - rate * scale) > 1e-6 * rate * scale for key in scaled & rates.keys() for rate in usual):
            raise ValueError(
                f"c_lr_scale={scale}, but in the optimizer c has the learning rate of A; let Trainer create the optimizer, "
                "add a separate group for c to yours, or set c_lr_scale=1."
            )


def _move_to_scaled_groups(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], scale: float) -> None:
    chosen = {id(parameter) for parameter in parameters}
    for group in list(optimizer.param_groups):
        moved = [parameter for parameter in group["params"] if id(parameter) in chosen]
        if not moved:
            continue
        group["params"] = [parameter for parameter in group["params"] if id(parameter) not in chosen]
        settings = {name: value for name, value in group.items() if name not in ("params", "initial_lr")}
        optimizer.add_param_group({**settings, "params": moved, "lr": group["lr"] * scale})
