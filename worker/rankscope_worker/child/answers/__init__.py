"""Answers in text form: generated texts, conversations, spans of a text, and their scores."""
