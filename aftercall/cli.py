"""The `aftercall` command. It imports a part only when one of its commands is called, so that --help is quick."""

import importlib
import sys
from typing import NoReturn

import click

from aftercall import __version__
from aftercall.command_groups import SuggestingGroup
from aftercall.errors import EXIT_INTERRUPTED, AftercallError, explain_file
from aftercall.terminal import show_error, tolerate_letters

#: By command, in the order of --help: the module that defines it, and the line that --help shows.
COMMANDS = {
    "run": ("producer.cli", "Summarize a source on this machine: everything in one command."),
    "submit": ("producer.cli", "Clean sources and queue their conversations."),
    "inspect": ("producer.inspect_cli", "Show what a source would be submitted as."),
    "status": ("producer.admin_cli", "Show the state of the submissions, and the workers."),
    "wait": ("producer.night_cli", "Wait until submissions have ended, or until time is up."),
    "failures": ("producer.admin_cli", "Say why conversations failed."),
    "export": ("producer.export_cli", "Write a submission's summaries to a file."),
    "night": ("producer.night_cli", "Do a night's work in one command, for cron or systemd."),
    "report": ("producer.night_cli", "Write one HTML page about a night."),
    "drift": ("producer.night_cli", "Say whether a night is like the last ones."),
    "web": ("producer.web_cli", "Serve pages to look at it all, search, review and retry."),
    "webhook": ("producer.webhook_cli", "Tell a URL which submissions have ended."),
    "metrics": ("producer.night_cli", "Write metrics for Prometheus."),
    "cancel": ("producer.admin_cli", "Stop a submission; what is finished is kept."),
    "pause": ("producer.pause_cli", "Send and begin nothing more; what is in progress ends."),
    "resume": ("producer.pause_cli", "End the pause."),
    "requeue": ("producer.admin_cli", "Send again what waits, failed or was cancelled."),
    "purge": ("producer.admin_cli", "Delete old submissions from the database, for good."),
    "erase": ("producer.privacy_cli", "Delete one conversation everywhere, with a receipt."),
    "audit": ("producer.privacy_cli", "Show who submitted, exported, erased, purged, promoted and paused what."),
    "doctor": ("producer.admin_cli", "Check every part, and say what is wrong and what to do."),
    "worker": ("worker.cli", "Run workers, one process a GPU."),
    "train": ("training.cli", "Train an adapter on labelled conversations."),
    "evaluate": ("training.cli", "Judge an adapter as it is served, compared with its baselines."),
    "adapters": ("training.adapters_cli", "List, show, compare, promote and roll back adapters."),
    "review": ("training.adapters_cli", "Let people correct summaries, and learn from it."),
    "refresh": ("training.refresh_cli", "Train on reviewed summaries, and promote the adapter if it is better."),
    "resummarize": ("producer.cli", "Summarize again what an old adapter wrote."),
    "db": ("producer.cli", "Manage the database's schema."),
}

#: The extra that installs the libraries of a part's commands.
EXTRAS = {"producer": "embedded", "worker": "worker", "training": "training"}


class LazyGroup(SuggestingGroup):
    """A group that imports a command when it is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of the commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command itself, imported now."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[name][0])
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, from the table: importing every part would take seconds."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aftercall")
def cli() -> None:
    """Last night's customer-support conversations in, a faithful short summary of each out.

    Settings are AFTERCALL_* variables; docs/operations.md has the table.
    """


def main(args: list[str] | None = None) -> None:
    """The console entry point: an AftercallError becomes a message and an exit code."""
    tolerate_letters()
    try:
        result: object = cli.main(args, prog_name="aftercall", standalone_mode=False)
    except AftercallError as error:
        _end(error)
    except ModuleNotFoundError as error:
        _end(_explain_missing(error, sys.argv[1:] if args is None else args))
    except OSError as error:
        # Without a number it is not from the operating system but from a library.
        if error.errno is None:
            raise
        _end(explain_file(error))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.secho("aftercall: stopped. Run the same command again to continue.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(result if isinstance(result, int) else 0)


def _explain_missing(error: ModuleNotFoundError, args: list[str]) -> AftercallError:
    """The message that names the extra with the missing library. A missing module of ours is raised as it is."""
    library = (error.name or "").partition(".")[0]
    part = next((COMMANDS[arg][0].partition(".")[0] for arg in args if arg in COMMANDS), "")
    if part not in EXTRAS or library in {"", "aftercall", "adapters", "migrations", *EXTRAS}:
        raise error
    return AftercallError(f"this needs {library}, which is not installed. Run: pip install 'aftercall[{EXTRAS[part]}]'")


def _end(error: AftercallError) -> NoReturn:
    show_error(error)
    sys.exit(error.exit_code)
