"""Defines the command `parity`: run the matrix, observe one target, compare two files, show a scenario,
record.

Exit codes: 0 no unexplained difference, 1 differences, 2 usage or set-up error.
"""

from __future__ import annotations

import click

from parity.commands.bench import bench
from parity.commands.compare import compare
from parity.commands.decide import decide, measure
from parity.commands.diff import diff
from parity.commands.judge import judge
from parity.commands.ledger import ledger
from parity.commands.observe import observe
from parity.commands.options import Group
from parity.commands.provider import provider
from parity.commands.record import check_mocks, probe, record
from parity.commands.report import report, trend
from parity.commands.run import run
from parity.commands.show import list_, schema, show
from parity.commands.versions import bisect_, changelog, versions_


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
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


for command in (
    run,
    compare,
    diff,
    list_,
    show,
    schema,
    ledger,
    measure,
    decide,
    report,
    trend,
    judge,
    bench,
    observe,
    provider,
    record,
    check_mocks,
    probe,
    versions_,
    bisect_,
    changelog,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
