"""Targets that are texts of any kind, such as answers or summaries."""

from rankscope.contract.tasks.targets import AsText, BadTarget, Targets


class FreeTexts(Targets):
    """`what` names a target in reasons and errors: `answer`, `summary`."""

    def __init__(self, column: str, what: str) -> None:
        super().__init__(column)
        self._what = what
        self._is_seen = False

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:  # noqa: ARG002
        text = as_text(value)
        if text is None or not text.strip():
            return f"no {self._what} in column {self.column!r}"
        self._is_seen = True
        return text.strip(), 0

    def finish(self) -> None:
        if not self._is_seen:
            raise BadTarget(f"is {self.column!r}, where no row has an {self._what}", "Use another column.")
