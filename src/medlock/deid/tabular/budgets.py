"""`medlock deid count` and `medlock deid budget`: differentially private answers and what they have cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as TextTable

from medlock.console import AsJson, people, show_json
from medlock.deid.tabular.files import column_names, read_table
from medlock.deid.tabular.ledger import Ledger
from medlock.deid.tabular.noise import PrivateTable
from medlock.errors import BadRequest

LedgerFile = Annotated[Path, typer.Option("--ledger", help="Where answers and budgets are noted.", dir_okay=False)]
Recipient = Annotated[str, typer.Option(help="Who gets the answer.")]
Epsilon = Annotated[float, typer.Option(help="How much privacy the answer may cost; smaller is noisier.")]
By = Annotated[str | None, typer.Option(help="Count by the values of this column.")]
Category = Annotated[
    list[str] | None, typer.Option(help="A value to count; known beforehand, not looked up in the data.")
]
RowsPerPerson = Annotated[int, typer.Option(min=1, help="How many rows one person may have.")]
Give = Annotated[str | None, typer.Option(help="A recipient to give a budget to, once.")]
Amount = Annotated[float | None, typer.Option("--epsilon", help="The budget given.")]


def count_command(  # noqa: PLR0917 - each is an option on the command line
    source: Annotated[Path, typer.Argument(help="The table: CSV, Parquet or Arrow.", dir_okay=False)],
    ledger: LedgerFile,
    recipient: Recipient,
    epsilon: Epsilon,
    by: By = None,
    category: Category = None,
    rows_per_person: RowsPerPerson = 1,
    json: AsJson = False,
) -> None:
    """Count rows, or rows by category, with noise that hides whether any one person is among them."""
    if bool(by) is not bool(category):
        msg = "Counting by a column needs --by and the categories to count, each with --category."
        raise BadRequest(msg)
    table = read_table(source, [by or column_names(source)[0]])
    private = PrivateTable(table, Ledger(ledger), recipient, rows_per_person)
    counts = private.histogram(by, category, epsilon) if by and category else {"": private.count(epsilon)}
    balance = Ledger(ledger).balances()[recipient]
    if json:
        show_json({"counts": counts if by else counts[""], "budget": balance.budget, "spent": balance.spent})
        return
    for name, number in counts.items():
        people().print(f"{name or 'rows'}: {number}", markup=False)
    people().print(f"{recipient} has spent {balance.spent:g} of {balance.budget:g}.", markup=False)


def budget_command(
    ledger: Annotated[Path, typer.Argument(help="The ledger of differentially private answers.", dir_okay=False)],
    give: Give = None,
    epsilon: Amount = None,
    json: AsJson = False,
) -> None:
    """Show what each recipient has spent of the privacy budget, or give a recipient one."""
    if (give is None) is not (epsilon is None):
        msg = "Giving a budget needs --give and --epsilon."
        raise BadRequest(msg)
    if give is not None and epsilon is not None:
        Ledger(ledger).give(give, epsilon)
    spent = Ledger(ledger).balances()
    if json:
        show_json({name: {"budget": each.budget, "spent": each.spent} for name, each in spent.items()})
        return
    table = TextTable("recipient", "budget (epsilon)", "spent", "answers")
    for name, each in spent.items():
        table.add_row(name, f"{each.budget:g}", f"{each.spent:g}", str(each.answers))
    people().print(table)


def add_budgets(app: typer.Typer) -> None:
    """Mount `count` and `budget`."""
    app.command("count")(count_command)
    app.command("budget")(budget_command)
