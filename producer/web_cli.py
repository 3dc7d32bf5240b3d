"""The command web. It only calls its module."""

import click

from producer.services import open_services


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; another one needs a password.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="0: a free one.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="A name that this server is reached by.")
def web(host: str, port: int, names: tuple[str, ...]) -> None:
    """Serve pages for a browser: submissions, conversations, failures, workers, adapters, reviews, /metrics.

    On another address than this machine's own, AFTERCALL_WEB_PASSWORD must be set. Ends on Ctrl-C or SIGTERM.
    """
    from producer.web.server import serve

    with open_services() as services:
        serve(services, host, port, names, lambda url: click.echo(f"serving {url}"))
