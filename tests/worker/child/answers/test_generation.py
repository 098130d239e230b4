"""Generated texts do not depend on their neighbours, and a stop request ends them."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from rankscope_worker.child.answers.generation import Decoding, Interrupted, generate
from rankscope_worker.child.loading.model import load_tokenizer
from tests.kinds import TEXTS, make_folder


@pytest.fixture(scope="module", params=["llama", "t5"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = make_folder(tmp_path_factory.mktemp(request.param) / "model", request.param)
    auto = AutoModelForCausalLM if request.param == "llama" else AutoModelForSeq2SeqLM
    return auto.from_pretrained(folder), load_tokenizer(folder)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_text_does_not_depend_on_the_others_in_its_batch(loaded: tuple[Any, Any], beams: int) -> None:
    model, tokenizer = loaded
    prompts = [tokenizer(text).input_ids for text in TEXTS]
    decoding = Decoding(8, min_new_tokens=4, beams=beams)
    together = generate(model, tokenizer, prompts, decoding)
    assert together == [generate(model, tokenizer, [prompt], decoding)[0] for prompt in prompts]
    assert any(together)


def test_greedy_search_takes_the_likeliest_token_each_time(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    prompt = tokenizer(TEXTS[1]).input_ids
    is_pair = model.config.is_encoder_decoder
    ids = [model.config.decoder_start_token_id] if is_pair else list(prompt)
    first = len(ids)
    for _ in range(6):
        given = {"input_ids": torch.tensor([prompt]), "decoder_input_ids": torch.tensor([ids])}
        with torch.no_grad():
            logits = model(**(given if is_pair else {"input_ids": torch.tensor([ids])})).logits[0, -1]
        ids.append(int(logits.argmax()))
        if ids[-1] == tokenizer.eos_token_id:
            break
    expected = tokenizer.decode(ids[first:], skip_special_tokens=True).strip()
    assert generate(model, tokenizer, [prompt], Decoding(6)) == [expected]


def test_generating_uses_no_random_numbers_and_leaves_the_model_in_training(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    model.train()
    before = torch.get_rng_state()
    generate(model, tokenizer, [tokenizer(TEXTS[0]).input_ids], Decoding(4, beams=2))
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    model.eval()


def test_a_stop_request_is_seen_after_the_next_token(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    asked = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(Interrupted):
        generate(model, tokenizer, [tokenizer(TEXTS[0]).input_ids], Decoding(8, 8), should_stop=should_stop)
    assert len(asked) == 3
