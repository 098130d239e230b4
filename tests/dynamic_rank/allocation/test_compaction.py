from typing import Any

import numpy as np
import pytest
import torch

from dynamic_rank import DynamicRankConfig, compact, dem_loss, wrap
from dynamic_rank.adapter.components import components_of
from tests.dynamic_rank.tiny_models import DEVICE, batch, build, labels, logits


def trained(**options: Any) -> tuple[Any, torch.optim.Optimizer, Any]:
    """A wrapped model two AdamW steps into training, with gradients, and half of its components pruned."""
    model, task = build()
    model = wrap(model, DynamicRankConfig(target_rank=2, lora_dropout=0.0, **options), task)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        model(**batch(), labels=labels()).loss.backward()
        optimizer.step()
    masks = np.random.default_rng(0).random((12, 3)) < 0.5
    masks[0], masks[1] = False, True
    with torch.no_grad():
        for layer, row in zip(components_of(model).layers, masks, strict=True):
            layer.c[torch.from_numpy(~row)] = 0
    return model, optimizer, masks


def test_compaction_changes_no_logit_and_keeps_the_parameter_objects() -> None:
    model, optimizer, masks = trained()
    before = logits(model, batch())
    parameters = [p for layer in components_of(model).layers for p, _ in layer.resized()]
    compact(model, masks, optimizer)
    after = logits(model, batch())
    assert ((after - before).abs() / before.abs().max()).max() < 1e-6
    assert all(a is b for a, b in zip(parameters, components_of(model).parameters(), strict=True))


def test_tensors_gradients_and_moments_are_the_kept_slices() -> None:
    model, optimizer, masks = trained()
    layers = components_of(model).layers
    old = [
        [
            (p.detach().clone(), torch.as_tensor(p.grad).clone(), optimizer.state[p]["exp_avg"].clone())
            for p, _ in layer.resized()
        ]
        for layer in layers
    ]
    compact(model, {layer.name: torch.from_numpy(row) for layer, row in zip(layers, masks, strict=True)}, optimizer)
    for layer, row, tensors in zip(layers, masks, old, strict=True):
        index = torch.from_numpy(np.flatnonzero(row)).to(DEVICE)
        assert layer.kept == index.tolist()
        for (parameter, dim), before in zip(layer.resized(), tensors, strict=True):
            now = (parameter.detach(), parameter.grad, optimizer.state[parameter]["exp_avg"])
            for a, b in zip(now, before, strict=True):
                assert torch.equal(a, b.index_select(dim, index))


def test_training_continues_after_compaction_with_modules_at_rank_zero() -> None:
    model, optimizer, masks = trained()
    compact(model, masks, optimizer)
    layers = components_of(model).layers
    for _ in range(2):
        optimizer.zero_grad()
        loss = model(**batch(), labels=labels()).loss + 0.1 * dem_loss(model)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert loss.isfinite()
    assert layers[0].A.shape == (0, 16)
    assert layers[0].A.grad is None
    assert layers[0].lora.active_adapters == []


def test_a_second_compaction_takes_masks_in_original_indices() -> None:
    model, optimizer, _ = trained()
    first = np.tile([True, False, True], (12, 1))
    compact(model, first, optimizer)
    c = [layer.c.detach().clone() for layer in components_of(model).layers]
    compact(model, np.tile([False, True, True], (12, 1)), optimizer)
    for layer, old in zip(components_of(model).layers, c, strict=True):
        assert layer.kept == [2]
        assert torch.equal(layer.c.detach(), old[1:])


def test_masks_of_other_shapes_are_refused() -> None:
    model, optimizer, masks = trained()
    with pytest.raises(ValueError, match="no entry for module"):
        compact(model, {}, optimizer)
    with pytest.raises(ValueError, match="12 rows of 3 components"):
        compact(model, masks[:, :2], optimizer)


def test_an_optimizer_state_of_another_shape_is_refused_before_anything_changes() -> None:
    model, optimizer, masks = trained()
    layer = components_of(model).layers[5]
    optimizer.state[layer.A]["exp_avg_sq_row"] = torch.zeros(7, device=DEVICE)
    masks[5] = False
    with pytest.raises(ValueError, match=r"exp_avg_sq_row.*compact=False"):
        compact(model, masks, optimizer)
    assert all(len(layer.kept) == 3 and layer.A.shape[0] == 3 for layer in components_of(model).layers)


def test_dem_equals_the_mean_variance_of_all_rows_and_columns() -> None:
    model, _, _ = trained()
    layers = components_of(model).layers
    naive = [row.var(unbiased=True) for layer in layers for row in layer.A]
    naive += [column.var(unbiased=True) for layer in layers for column in layer.B.T]
    torch.testing.assert_close(dem_loss(model), torch.stack(naive).mean())


def test_dem_skips_rank_zero_modules() -> None:
    model, optimizer, masks = trained()
    compact(model, masks, optimizer)
    layers = [layer for layer in components_of(model).layers if layer.kept]
    naive = [row.var(unbiased=True) for layer in layers for row in layer.A]
    naive += [column.var(unbiased=True) for layer in layers for column in layer.B.T]
    torch.testing.assert_close(dem_loss(model), torch.stack(naive).mean())
