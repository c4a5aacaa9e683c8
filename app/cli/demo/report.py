"""What the demo shows: progress, the table of customers by month, and where things are."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.cli.demo.check import BilledInvoice
from app.cli.demo.scenario import MeterSpec, Scenario, Usage

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
    """What every customer owes, month by month, as many as fit; then what it used and owes."""
    amounts = {(invoice.customer, invoice.month): invoice.total for invoice in billed}
    fit = max(1, (console.width - _NAME_WIDTH) // _AMOUNT_WIDTH)
    for start in range(0, len(scenario.months), fit):
        _months_table(console, scenario, scenario.months[start : start + fit], amounts)
    _usage_table(console, scenario, usage, amounts)


def _usage_table(
    console: Console, scenario: Scenario, usage: Usage, amounts: Mapping[tuple[str, str], Decimal]
) -> None:
    """A row per customer and month, with every meter."""
    title = f"{scenario.seller}: usage and amounts, {scenario.currency}"
    shown = Table(title=title, box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("Customer", no_wrap=True)
    shown.add_column("Month", no_wrap=True)
    totals = [_over_all(scenario, usage, meter) for meter in scenario.meters]
    for meter, total in zip(scenario.meters, totals, strict=True):
        shown.add_column(meter.name, justify="right", min_width=len(total))
    shown.add_column("Amount", justify="right", style="bold", no_wrap=True)
    for customer in scenario.customers:
        name = customer.external_id
        for month in scenario.months:
            used = [usage.get((name, month, m.key, None), _NOTHING) for m in scenario.meters]
            owed = amounts.get((name, month), _NOTHING)
            shown.add_row(name, month, *(f"{quantity:,}" for quantity in used), f"{owed:,.2f}")
        shown.add_section()
    shown.add_row("All", "", *totals, f"{sum(amounts.values()):,.2f}")
    console.print(shown)


def _over_all(scenario: Scenario, usage: Usage, meter: MeterSpec) -> str:
    """The sum over customers and months; of distinct things there is none."""
    if meter.aggregation == "COUNT_UNIQUE":
        return ""
    found = (
        usage.get((customer.external_id, month, meter.key, None), _NOTHING)
        for customer in scenario.customers
        for month in scenario.months
    )
    return f"{sum(found, _NOTHING):,}"


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
