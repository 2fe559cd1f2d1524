"""docs/cli.md and the program say the same."""

import re
from pathlib import Path

import pytest
import typer
import typer.main

from medlock.cli import make_cli
from medlock.console import Exit

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text()


def walk(command, words):
    """Every command with its words."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from walk(inner, [*words, name])
    else:
        yield " ".join(words), command


# Commands that work on files alone have no data directory to name.
COMMANDS = dict(walk(typer.main.get_command(make_cli()), ["medlock"]))


def sections():
    """Heading (without argument names) → text of each command's section."""
    parts = re.split(r"^### (medlock [a-z -]+?)(?: [A-Z_]+)*\n", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_a_section():
    """No command without a section, no section without a command."""
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_listed(name):
    """The options of a command are those on its section's last lines, --json among them; --data-dir unless it is `deid`.

    De-identification works on files and the list of routes on nothing: a data directory would be an option that does
    nothing.
    """
    options = {text for each in COMMANDS[name].params for text in (*each.opts, *each.secondary_opts)}
    options = {text for text in options if text.startswith("--")} - {"--help"}
    listed = set(re.findall(r"`(--[a-z-]+)`", sections()[name].partition("Options:")[2]))
    assert listed == options
    assert "--json" in options
    assert ("--data-dir" in options) is not name.startswith(
        ("medlock deid ", "medlock backup list", "medlock routes", "medlock leaktest-actors", "medlock sharing ")
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_explains_itself(name):
    """Each option and command has a help text."""
    assert COMMANDS[name].help
    assert all(getattr(each, "help", None) for each in COMMANDS[name].params if each.name != "help")


def test_exit_codes_are_those_of_the_program():
    """The table of exit codes is the enum."""
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)}
    assert rows == {code.value for code in Exit}
