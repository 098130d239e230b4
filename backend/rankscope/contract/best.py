METRICS = ("eval_accuracy", "eval_mcc", "eval_loss")
"""What an evaluation of the task, one class for each text, computes."""
