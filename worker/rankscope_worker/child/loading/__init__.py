"""From files to what a training reads: the tokenizer, the model, and rows as token ids."""
