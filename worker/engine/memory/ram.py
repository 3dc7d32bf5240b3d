"""How much memory a process on this machine may still take. Knows Linux' own files; knows no device."""

from pathlib import Path

#: What a system that does not say counts as having.
_UNKNOWN = 4 * 1024**3

_MEMINFO = Path("/proc/meminfo")
#: A container sees its own control group (version 2) here; outside of one the files are not there.
_CGROUP = Path("/sys/fs/cgroup")


def available_ram(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """What can be had without swapping, by the kernel and by the limit of the container, in bytes."""
    room = _container_ram(cgroup)
    return _machine_ram(meminfo) if room is None else min(_machine_ram(meminfo), room)


def _machine_ram(meminfo: Path) -> int:
    try:
        return int(_read_fields(meminfo)["MemAvailable:"]) * 1024
    except (OSError, KeyError):
        return _UNKNOWN


def _container_ram(cgroup: Path) -> int | None:
    """None without a limit."""
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        if limit == "max":
            return None
        used = int((cgroup / "memory.current").read_text(encoding="ascii"))
        # Files read before count as used until somebody needs the room.
        return max(0, int(limit) - used + int(_read_fields(cgroup / "memory.stat")["inactive_file"]))
    except (OSError, KeyError):
        return None


def _read_fields(path: Path) -> dict[str, str]:
    """First and second word of every line."""
    lines = path.read_text(encoding="ascii").splitlines()
    return {name: value for name, value, *_ in map(str.split, lines)}
