"""Side: one method in its own Trainer, so that a benchmark can alternate between two of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import RobertaConfig, RobertaForSequenceClassification, Trainer, TrainingArguments

from dynamic_rank import DynamicRankCallback, RankAllocator, RankMethod, Snapshot, create_method, make_trainer_class


@dataclass(frozen=True)
class Size:
    """Size of the model, the batch and the measurement. The defaults are RoBERTa-base, with steps of about 1 s on 2 cores."""

    layers: int = 12
    hidden: int = 768
    vocabulary: int = 50_265
    batch: int = 4
    length: int = 64
    warmup: int = 3
    pairs: int = 21
    slow_pairs: int = 7

    @property
    def window(self) -> int:
        """Optimizer steps of dynamic rank up to its final mask: the timed ones, and the one that compacts."""
        return self.warmup + self.pairs + 1


@dataclass(frozen=True)
class Base:
    """The model that a side adapts, its batch, and the task type of PEFT. Both are made on `device`."""

    model: Callable[[], nn.Module]
    batch: dict[str, Tensor]
    task_type: str = "SEQ_CLS"
    device: str = "cpu"


QUICK = Size(layers=2, hidden=64, vocabulary=500, batch=2, length=16, warmup=1, pairs=5, slow_pairs=5)


class Side:
    """One method in its own Trainer, run one step at a time by calling the parts of Trainer's loop in order."""

    def __init__(
        self,
        key: str,
        options: dict[str, Any],
        base: Base,
        max_steps: int,
        folder: str,
        *,
        reports: bool,
        snapshot_every: int = 1,
        bf16: bool = False,
    ) -> None:
        """`reports`: a snapshot is packed every `snapshot_every` steps. A LoRA without costs as much as PEFT alone."""
        self.method, trainer = make_trainer(
            key, options, base, max_steps, folder, reports=reports, snapshot_every=snapshot_every, bf16=bf16
        )
        self._begin(trainer, base.batch)

    def _begin(self, trainer: Any, batch: dict[str, Tensor]) -> None:
        """Do what Trainer does before its loop."""
        self.trainer, self.inputs = trainer, batch
        # With bf16, this adds autocast to the forward pass.
        self.model: nn.Module = trainer.accelerator.prepare_model(trainer.model) if trainer.args.bf16 else trainer.model
        trainer.create_optimizer_and_scheduler(trainer.args.max_steps)
        trainer.state.max_steps = trainer.args.max_steps
        trainer.current_gradient_accumulation_steps = 1
        trainer.callback_handler.optimizer = trainer.optimizer
        trainer.callback_handler.lr_scheduler = trainer.lr_scheduler
        self._tell("on_train_begin")

    @property
    def allocator(self) -> RankAllocator:
        found = next(c for c in self.trainer.callback_handler.callbacks if isinstance(c, DynamicRankCallback))
        if found.allocator is None:
            raise RuntimeError("The allocator is created when training begins.")
        return found.allocator

    def step(self) -> None:
        trainer = self.trainer
        self._tell("on_step_begin")
        trainer.training_step(self.model, dict(self.inputs))
        trainer.accelerator.clip_grad_norm_(self.model.parameters(), trainer.args.max_grad_norm)
        self._tell("on_pre_optimizer_step")
        trainer.optimizer.step()
        self._tell("on_optimizer_step")
        trainer.lr_scheduler.step()
        self.model.zero_grad()
        trainer.state.global_step += 1
        self._tell("on_step_end")

    def adapter_bytes(self) -> int:
        """Bytes of the adapter's parameters and their optimizer state, without base model, head and gradients."""
        head = {id(p) for name, p in self.model.named_parameters() if "modules_to_save" in name}
        own = [p for p in self.model.parameters() if p.requires_grad and id(p) not in head]
        return _allocated(own) + _allocated(self._states(own))

    def peak_bytes(self) -> int:
        """Peak memory of this side's tensors during a step: weights, optimizer, gradients, activations."""
        standing = _allocated([*self.model.parameters(), *self.model.buffers(), *self._states(self.model.parameters())])
        if self.inputs["input_ids"].is_cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.step()
            torch.cuda.synchronize()
            return standing + torch.cuda.max_memory_allocated() - before
        activities = [torch.profiler.ProfilerActivity.CPU]
        with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
            self.step()
        events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
        running = highest = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            running += event.nbytes()
            highest = max(highest, running)
        return standing + highest

    def _states(self, parameters: Iterable[nn.Parameter]) -> list[Tensor]:
        state = self.trainer.optimizer.state
        return [v for p in parameters for v in state.get(p, {}).values() if isinstance(v, Tensor)]

    def _tell(self, event: str) -> None:
        trainer = self.trainer
        trainer.control = getattr(trainer.callback_handler, event)(trainer.args, trainer.state, trainer.control)


class Repeated(Dataset[dict[str, Tensor]]):
    """The rows of one batch again and again, enough for `steps` steps."""

    def __init__(self, batch: dict[str, Tensor], steps: int) -> None:
        self._rows = {name: tensor.cpu() for name, tensor in batch.items()}
        self._count = len(batch["input_ids"])
        self._steps = steps

    def __len__(self) -> int:
        return self._count * self._steps

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {name: tensor[row % self._count] for name, tensor in self._rows.items()}


def make_trainer(
    key: str,
    options: dict[str, Any],
    base: Base,
    max_steps: int,
    folder: str,
    *,
    reports: bool,
    snapshot_every: int = 1,
    bf16: bool = False,
) -> tuple[RankMethod, Any]:
    """The method and its Trainer, which repeats the batch."""
    torch.manual_seed(0)
    method: RankMethod = create_method(key, options)
    model = method.prepare(base.model(), base.task_type)
    method.initialize([base.batch])
    trainer = make_trainer_class(Trainer)(
        model=model,
        args=arguments(base, max_steps, folder, bf16=bf16),
        method=method,
        train_dataset=Repeated(base.batch, max_steps),
        callbacks=method.callbacks(_pack if reports else None, snapshot_every),
    )
    return method, trainer


def arguments(base: Base, max_steps: int, folder: str, *, bf16: bool = False) -> TrainingArguments:
    return TrainingArguments(
        output_dir=folder,
        max_steps=max_steps,
        per_device_train_batch_size=len(base.batch["input_ids"]),
        learning_rate=1e-4,
        weight_decay=0.01,
        warmup_steps=0.06,
        max_grad_norm=1.0,
        bf16=bf16,
        use_cpu=base.device == "cpu",
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_strategy="no",  # only JSON is printed
        report_to=[],
        disable_tqdm=True,
    )


def packed(snapshot: Snapshot) -> bytes:
    """The snapshot as it is transferred: the mask, then float16 scores."""
    return snapshot.pack_mask() + snapshot.pack_scores()


def _pack(snapshot: Snapshot) -> None:
    packed(snapshot)


def roberta_base(size: Size) -> Base:
    return Base(lambda: _roberta(size), _batch(size))


def _roberta(size: Size) -> nn.Module:
    return RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=size.hidden // 64 or 1,
            intermediate_size=4 * size.hidden,
            max_position_embeddings=514,
            type_vocab_size=1,
        )
    )


def _batch(size: Size) -> dict[str, Tensor]:
    """Random tokens without padding, and labels."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(3, size.vocabulary, (size.batch, size.length), generator=generator)
    labels = torch.arange(size.batch) % 2
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}


def _allocated(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages of `tensors`, each counted once; a view counts its whole storage."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())
