"""Tokens that a training has seen."""

from transformers import TrainerState

from rankscope_worker.child.answers.packing import packing_collator
from rankscope_worker.child.loading.token_count import counting, take_count


def test_packed_rows_count_without_their_padding_and_the_model_gets_the_same_batch() -> None:
    rows = [{"input_ids": [1] * length, "labels": [1] * length} for length in (5, 4, 2)]
    collate = packing_collator(8, 0)
    batch = dict(counting(collate)(rows))
    assert batch["input_ids"].numel() > 11
    state = TrainerState()
    for _ in range(2):
        take_count(inputs := dict(batch), state)
        assert inputs.keys() == collate(rows).keys()
    assert state.num_input_tokens_seen == 2 * 11


def test_a_checkpoint_without_a_count_stays_without_one() -> None:
    counted, uncounted = TrainerState(global_step=7, num_input_tokens_seen=70), TrainerState(global_step=7)
    for state in (counted, uncounted):
        take_count(dict(counting(lambda _rows: {})([{"input_ids": [1, 2]}])), state)
    assert (counted.num_input_tokens_seen, uncounted.num_input_tokens_seen) == (72, 0)
