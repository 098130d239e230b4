"""Problems of a run: the rules that find them, and what to do about them."""
