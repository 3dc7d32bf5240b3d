"""Groups of commands that suggest the nearest name for a misspelt one."""

from difflib import get_close_matches

import click


class SuggestingGroup(click.Group):
    """A group whose error for an unknown command names the one that may be meant."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called.

        Raises click.UsageError for an unknown one.
        """
        try:
            return super().resolve_command(context, args)
        except click.UsageError:
            near = get_close_matches(args[0], self.list_commands(context), n=1)
            if not near:
                raise
            message = f"there is no command {args[0]!r}. Did you mean {near[0]!r}?"
            raise click.UsageError(message, context) from None
