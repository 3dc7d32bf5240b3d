"""How much a source may cost: settings, as the readers of files take them."""

from dataclasses import dataclass

from aftercall.errors import SourceError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one source, whatever it is made of. Each is a setting of the same name."""

    #: Bytes of a source, decompressed and with all files of an archive or a folder.
    max_source_bytes: int = 10_000_000_000
    #: Files in an archive or a folder.
    max_source_files: int = 100_000
    #: Memory of the process that reads an Excel workbook or a Parquet file.
    max_convert_bytes: int = 4_000_000_000
    #: Characters of a rejected row that are written to the file of rejected rows.
    max_rejected_chars: int = 100_000


class Budget:
    """What one source has used of its limits."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self.limits = limits
        self.num_bytes = 0
        self._num_files = 0

    def spend(self, num_bytes: int) -> None:
        """Count bytes; SourceError if they are too many."""
        self.num_bytes += num_bytes
        if self.num_bytes > self.limits.max_source_bytes:
            raise SourceError(
                f"{self._name}: there are more than {self.limits.max_source_bytes:,} bytes, decompressed. Does the "
                "stream end? Export a shorter time, or raise AFTERCALL_MAX_SOURCE_BYTES."
            )

    def spend_file(self) -> None:
        """Count a file; SourceError if there are too many."""
        self._num_files += 1
        if self._num_files > self.limits.max_source_files:
            raise SourceError(
                f"{self._name}: there are more than {self.limits.max_source_files:,} files in it. Split it up, or "
                "raise AFTERCALL_MAX_SOURCE_FILES."
            )
