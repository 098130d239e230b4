"""The cases, one for each task and form of its texts."""

from collections.abc import Callable

from rankscope_worker.child.answers.rouge import rouge_scores

from . import trivial
from .case import Case, Finished, Guess

SMOLLM2 = "local:smollm2"
_SHORT = {"max_steps": 120, "batch_size": 16, "max_length": 32, "learning_rate": 3e-3}
_CHAT = {"max_steps": 30, "batch_size": 4, "max_length": 96, "learning_rate": 2e-3}


def _metric(name: str) -> Callable[[Finished], float]:
    return lambda run: run.metrics[name]


def _rouge(run: Finished) -> float:
    texts, targets = ([str(row[name]) for row in run.results] for name in ("prediction", "target"))
    return rouge_scores(texts, targets)["rougeL"]


CASES = (
    Case(
        name="text_classification",
        about="text classification, MiniLM, Rotten Tomatoes split by film",
        metric="accuracy",
        measure=_metric("eval_accuracy"),
        guess=Guess("the most frequent class", trivial.majority),
        data={"id": "rotten-tomatoes", "split_seed": 1, "max_eval_rows": 400},
        task={"name": "text_classification"},
        training=_SHORT,
    ),
    Case(
        name="text_pairs",
        about="text classification of pairs, MiniLM, question and passage of a privacy policy, split by passage",
        metric="accuracy",
        measure=_metric("eval_accuracy"),
        guess=Guess("the most frequent class", trivial.majority),
        data={"id": "policies", "group_column": "passage", "max_eval_rows": 400},
        task={
            "name": "text_classification",
            "text_columns": ["question", "passage"],
            "label_column": "label",
        },
        training=_SHORT | {"batch_size": 8, "max_length": 64},
    ),
    Case(
        name="multi_label",
        about="multi-label classification, MiniLM, toxic texts with four labels",
        metric="micro F1",
        measure=_metric("eval_f1_micro"),
        guess=Guess("the same labels for every text", trivial.same_labels),
        data={"id": "toxic-texts", "eval_fraction": 0.2},
        task={"name": "multi_label", "text_columns": ["text"], "labels_column": "labels"},
        training=_SHORT,
    ),
    Case(
        name="regression",
        about="regression, MiniLM, how strongly a toxic text attacks an identity",
        metric="Pearson",
        measure=_metric("eval_pearson"),
        guess=Guess("the mean, whose correlation counts as 0", trivial.constant_number),
        data={"id": "identity-attacks", "eval_fraction": 0.2},
        task={"name": "regression", "text_columns": ["text"], "number_column": "score"},
        training=_SHORT,
    ),
    Case(
        name="token_classification",
        about="token classification, MiniLM, sentences of CoNLL-2003",
        metric="entity F1",
        measure=_metric("eval_entity_f1"),
        guess=Guess("the usual tag of the same word in the training rows", trivial.known_words),
        data={"id": "conll2003-sample", "eval_fraction": 0.25},
        task={"name": "token_classification", "tokens_column": "tokens", "tags_column": "ner_tags"},
        training=_SHORT | {"batch_size": 8, "max_length": 64},
    ),
    Case(
        name="question_answering",
        about="extractive question answering, MiniLM, DisflQA split by context",
        metric="F1",
        measure=_metric("eval_f1"),
        guess=Guess("the first sentence of the context", trivial.first_sentence_of_context),
        data={"id": "disfluent-questions", "group_column": "context", "eval_fraction": 0.2},
        task={"name": "question_answering"},
        training={"max_steps": 120, "batch_size": 8, "max_length": 160, "learning_rate": 3e-3},
    ),
    Case(
        name="chat",
        about="chat, SmolLM2-135M-Instruct, Rotten Tomatoes split by film, answered with one word",
        metric="exact match",
        measure=_metric("eval_exact_match"),
        guess=Guess("the most frequent answer", trivial.majority),
        data={"id": "rotten-tomatoes", "split_seed": 1, "max_eval_rows": 50},
        task={
            "name": "causal_language_model",
            "headline_metric": "eval_exact_match",
            "system_prompt": "Answer with one word, fresh or rotten.",
            "generated_rows": 50,
            "max_new_tokens": 4,
        },
        training=_CHAT,
        model=SMOLLM2,
    ),
    Case(
        name="summaries",
        about="summarisation as chat, SmolLM2-135M-Instruct, the first 60 words of articles of XSum",
        metric="ROUGE-L",
        measure=_rouge,
        guess=Guess("the first sentence of the article", trivial.first_sentence_of_prompt),
        data={"id": "xsum-beginnings", "max_eval_rows": 20},
        task={
            "name": "causal_language_model",
            "text_column": "prompt",
            "answer_column": "answer",
            "system_prompt": "Summarise the article in one sentence.",
            "generated_rows": 20,
            "max_new_tokens": 32,
        },
        training=_CHAT | {"max_steps": 20, "max_length": 160},
        model=SMOLLM2,
    ),
)
