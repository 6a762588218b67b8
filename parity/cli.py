"""Defines the command `parity`: run the matrix, observe one target, compare two files, show a scenario,
record.

Exit codes: 0 no unexplained difference, 1 differences, 2 usage or set-up error.
"""

from __future__ import annotations

import click

from parity.commands.group import Group

PLACES = {
    "run": "parity.commands.run:run",
    "compare": "parity.commands.compare:compare",
    "diff": "parity.commands.diff:diff",
    "list": "parity.commands.listing:list_",
    "show": "parity.commands.show:show",
    "schema": "parity.commands.show:schema",
    "ledger": "parity.commands.ledger:ledger",
    "measure": "parity.commands.decide:measure",
    "decide": "parity.commands.decide:decide",
    "report": "parity.commands.report:report",
    "trend": "parity.commands.report:trend",
    "judge": "parity.commands.judge:judge",
    "bench": "parity.commands.bench:bench",
    "observe": "parity.commands.observe:observe",
    "provider": "parity.commands.provider:provider",
    "record": "parity.commands.record:record",
    "check-mocks": "parity.commands.record:check_mocks",
    "probe": "parity.commands.record:probe",
    "versions": "parity.commands.versions:versions_",
    "bisect": "parity.commands.versions:bisect_",
    "changelog": "parity.commands.versions:changelog",
}
"""Each command's name, and the module and function that it is; imported when it is called."""


@click.group(cls=Group, places=PLACES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="proxy-parity", prog_name="parity")
def main() -> None:
    """Play every scenario on both architectures, and tell whether they behave the same.

    \b
    parity run                      both proxies on recordings: no network, no keys
    parity run --tier live -n auto  against a real LiteLLM, provider on loopback
    parity show chat.plain          one scenario: both sides and what differs
    parity report parity-report --format markdown   another face of the same run
    parity compare URL1 URL2 --model NAME   two endpoints: what differs, by cause
    parity observe --target URL --model NAME --out a.jsonl
    parity diff a.jsonl b.jsonl     what changed between two endpoints or versions
    parity decide --quick           which one to take, by what it costs and does
    parity judge GATEWAY            any gateway by what all gateways owe
    parity bench --quick            what they cost, side by side with what people use instead
    parity provider --port 8090     the scenarios' provider alone, for other people's tests

    Exit codes: 0 no unexplained difference, 1 differences, 2 usage or set-up error.
    """


if __name__ == "__main__":
    main()
