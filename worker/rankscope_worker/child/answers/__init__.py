"""Answers in words: generated texts, conversations, spans of a text, and their scores."""
