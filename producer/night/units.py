"""The systemd unit and timer for `aftercall night`, as text to install."""

import getpass
import sys
from dataclasses import dataclass
from pathlib import Path

#: Results are written within seconds of SIGTERM; the rest is room for a busy disk.
STOP_TIMEOUT_S = 120

#: A restart does not help against a wrong command line, source, setting, adapter or schema, nor against conversations
#: that failed, a deadline that has passed or a lock that another night holds.
NO_RESTART = (2, 3, 4, 5, 8, 10, 12, 15, 16)

RESTART_DELAY_S = 60

_SERVICE = """\
# /etc/systemd/system/aftercall-night.service
[Unit]
Description=Summarize last night's conversations
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
# AFTERCALL_DATABASE_URL, AFTERCALL_REDIS_URL and the other settings. The file holds passwords: chmod 600.
EnvironmentFile={environment_file}
ExecStart={command}
WorkingDirectory={folder}
User={user}
# A night takes hours, and its deadline ends it.
TimeoutStartSec=infinity
TimeoutStopSec={stop_timeout_s}
# A second night waits for nothing: the command holds a lock and says who has it.
Restart=on-failure
RestartSec={restart_delay_s}
RestartPreventExitStatus={no_restart}
"""

_TIMER = """\
# /etc/systemd/system/aftercall-night.timer
[Unit]
Description=Summarize last night's conversations, every night

[Timer]
OnCalendar=*-*-* {at}:00
# A machine that was off at that time makes up for it.
Persistent=true

[Install]
WantedBy=timers.target
"""

_INSTALL = """\
# Write the two files, then:
#   systemctl daemon-reload && systemctl enable --now aftercall-night.timer
"""


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """What the unit runs, and when."""

    #: What follows `aftercall night`.
    arguments: tuple[str, ...]
    #: Time of the day, local: 22:30.
    at: str
    environment_file: str = "/etc/aftercall.env"


def make_units(options: UnitOptions) -> tuple[str, str]:
    """The service and the timer."""
    program = Path(sys.executable).with_name("aftercall")
    command = " ".join(_quote(word) for word in (str(program), "night", *options.arguments))
    service = _SERVICE.format(
        environment_file=options.environment_file,
        command=command,
        folder=Path.cwd(),
        user=getpass.getuser(),
        stop_timeout_s=STOP_TIMEOUT_S,
        restart_delay_s=RESTART_DELAY_S,
        no_restart=" ".join(map(str, NO_RESTART)),
    )
    return service, _TIMER.format(at=options.at)


def show_units(options: UnitOptions) -> str:
    """Both files and how to install them."""
    return "\n".join([*make_units(options), _INSTALL])


def _quote(word: str) -> str:
    """A word as systemd reads it: `%` and `$` mean something there."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(letter in escaped for letter in " \t\"'\\;") else escaped
