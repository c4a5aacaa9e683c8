"""What the demo shows: progress, the table of customers by month, and where things are."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.cli.demo.check import BilledInvoice
from app.cli.demo.scenario import Scenario, Usage

_MOST_DIFFERENCES = 20
_NAME_WIDTH, _AMOUNT_WIDTH = 18, 15  # of a column, its frame included
_NOTHING = Decimal(0)


def progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<30}"),
        BarColumn(bar_width=36),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def tables(
    console: Console, scenario: Scenario, usage: Usage, billed: Sequence[BilledInvoice]
) -> None:
    """What every customer used and owes; then its amounts month by month, as many as fit."""
    amounts = {(invoice.customer, invoice.month): invoice.total for invoice in billed}
    _usage_table(console, scenario, usage, amounts)
    fit = max(1, (console.width - _NAME_WIDTH) // _AMOUNT_WIDTH)
    for start in range(0, len(scenario.months), fit):
        _months_table(console, scenario, scenario.months[start : start + fit], amounts)


def _usage_table(
    console: Console, scenario: Scenario, usage: Usage, amounts: Mapping[tuple[str, str], Decimal]
) -> None:
    meters = [meter for meter in scenario.meters if meter.aggregation != "COUNT_UNIQUE"]
    shown = Table(title=f"{scenario.seller}: usage and amounts over all months")
    shown.add_column("Customer", no_wrap=True)
    for meter in meters:
        shown.add_column(meter.name, justify="right")
    shown.add_column(scenario.currency, justify="right", style="bold")
    for customer in scenario.customers:
        name = customer.external_id
        used = [_over(scenario, usage, name, meter.key) for meter in meters]
        owed = sum(amounts.get((name, month), _NOTHING) for month in scenario.months)
        shown.add_row(name, *(f"{quantity:,}" for quantity in used), f"{owed:,.2f}")
    shown.add_section()
    shown.add_row("All", *([""] * len(meters)), f"{sum(amounts.values()):,.2f}")
    console.print(shown)


def _months_table(
    console: Console,
    scenario: Scenario,
    months: Sequence[str],
    amounts: Mapping[tuple[str, str], Decimal],
) -> None:
    shown = Table(title=f"Amounts by month, {scenario.currency}")
    shown.add_column("Customer", no_wrap=True)
    for month in months:
        shown.add_column(month, justify="right", no_wrap=True)
    names = [customer.external_id for customer in scenario.customers]
    for name in names:
        owed = [amounts.get((name, month), _NOTHING) for month in months]
        shown.add_row(name, *(f"{amount:,.2f}" for amount in owed))
    shown.add_section()
    totals = [sum(amounts.get((name, month), _NOTHING) for name in names) for month in months]
    shown.add_row("All", *(f"{amount:,.2f}" for amount in totals))
    console.print(shown)


def _over(scenario: Scenario, usage: Usage, customer: str, meter: str) -> Decimal:
    return sum(
        (usage.get((customer, month, meter, None), _NOTHING) for month in scenario.months),
        _NOTHING,
    )


def verdict(console: Console, invoices: int, differences: Sequence[str]) -> None:
    if not differences:
        console.print(
            f"[bold green]All {invoices} invoices equal the recomputation, to the last decimal."
        )
        return
    console.print(f"[bold red]{len(differences)} differences from the recomputation:")
    for line in differences[:_MOST_DIFFERENCES]:
        console.print(f"  {line}", style="red", markup=False)
    if len(differences) > _MOST_DIFFERENCES:
        console.print(f"  … and {len(differences) - _MOST_DIFFERENCES} more", style="red")


def places(console: Console, where: Mapping[str, str]) -> None:
    for name, address in where.items():
        # Not wrapped: addresses and keys are there to be copied.
        console.print(f"[bold]{name + ':':<16}[/]{address}", soft_wrap=True, highlight=False)
