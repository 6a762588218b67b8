"""Which scenarios an expression means: `chat and not gzip`, as in `pytest -k`."""

from __future__ import annotations

from collections.abc import Iterable

from _pytest.mark.expression import Expression  # the same grammar as where pytest itself selects

from parity.catalogue.scenario import Scenario


class SelectionError(Exception):
    """The expression can't be read, or means no scenario; the message says which."""


class Selection:
    """An expression over parts of ids, whatever their capitals; an empty one means everything."""

    def __init__(self, expression: str) -> None:
        """Raises `SelectionError`."""
        self._text = expression
        try:
            self._expression = Expression.compile(expression) if expression.strip() else None
        except SyntaxError as error:
            raise SelectionError(f"-k {expression!r}: {error.msg}") from None

    def of(self, scenarios: Iterable[Scenario]) -> list[Scenario]:
        """Those that are meant, in their order. Raises `SelectionError` when none is."""
        chosen = [scenario for scenario in scenarios if self._means(scenario.id.lower())]
        if not chosen:
            raise SelectionError("no scenario is selected; `parity list` shows what there is")
        return chosen

    def _means(self, scenario_id: str) -> bool:
        return self._expression is None or self._expression.evaluate(
            lambda name, /, **_: name.lower() in scenario_id
        )
