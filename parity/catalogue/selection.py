"""Selects scenarios by an expression over their ids: `chat and not gzip`, as in `pytest -k`."""

from __future__ import annotations

from collections.abc import Iterable

from _pytest.mark.expression import Expression  # the same grammar as where pytest itself selects

from parity.catalogue.scenario import Scenario


class SelectionError(Exception):
    """Reports that an expression can't be parsed, or selects no scenario; the message says which."""


class Selection:
    """Holds an expression over parts of ids, case-insensitive; an empty one selects every scenario."""

    def __init__(self, expression: str) -> None:
        """Parse the expression. Raises `SelectionError`."""
        self._text = expression
        try:
            self._expression = Expression.compile(expression) if expression.strip() else None
        except SyntaxError as error:
            raise SelectionError(f"-k {expression!r}: {error.msg}") from None

    def of(self, scenarios: Iterable[Scenario]) -> list[Scenario]:
        """Return the selected scenarios in their order. Raises `SelectionError` when there are none."""
        chosen = [scenario for scenario in scenarios if self._means(scenario.id.lower())]
        if not chosen:
            raise SelectionError("no scenario is selected; `parity list` shows what there is")
        return chosen

    def _means(self, scenario_id: str) -> bool:
        return self._expression is None or self._expression.evaluate(
            lambda name, /, **_: name.lower() in scenario_id
        )
