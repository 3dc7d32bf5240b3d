"""Imports reviewers' corrections as training rows, after checking each row against what was exported.

Corrections go to a training file, all reviews to the log next to it. Reads the ledger and does not change it. A
reviewed file went through a spreadsheet, where one sorted column puts every correction next to another conversation,
so a row whose cells do not belong together stops the import.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sqlalchemy import Engine, select

from aftercall.corrections import find_problem, squeeze
from aftercall.database import reading
from aftercall.errors import SourceError
from aftercall.models import Job, Submission, SubmissionJob, Summary
from producer.formulas import guard, unguard
from training.data.corrections import Correction, open_training_file
from training.data.review import DRAWN, read_reviewed
from training.data.reviews import APPROVED, CORRECTED, Review, add_to_log, join_flags, log_path, name_channel

#: Longest job number that a database can hold, in digits.
_MAX_DIGITS = 18
#: Number of jobs read per query.
_NUM_AT_ONCE = 500
#: Excel cuts a cell at 32,767 characters; a conversation cut there is still the same one.
_CUT_CELL_CHARS = 32_000
#: Rows listed in an error.
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a reviewed file's rows."""

    num_corrected: int
    #: Left as they were, or without a correction.
    num_unchanged: int
    #: Rows whose job is no longer in this database.
    num_gone: int
    #: Rows in the training file now.
    num_rows: int
    #: Corrections that are no summaries, a sentence each with file and line; they are left out.
    unusable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    where: str
    job_id: int
    external_id: str
    conversation: str
    summary: str
    #: Empty if the reviewer wrote nothing.
    corrected: str
    reviewer: str
    #: Why it was corrected, in the reviewer's words.
    reason: str
    #: `risk` or `control`.
    drawn: str


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the ledger has of a job."""

    text: str
    channel: str
    external_ids: set[str] = field(default_factory=set)
    #: Adapter and verdict of each summary, by its text.
    summaries: dict[str, tuple[str, str]] = field(default_factory=dict)

    def has_summary(self, cell: str) -> bool:
        """Whether a cell is one of the job's summaries, with or without the export's guard."""
        return self.find_summary(cell) is not None

    def find_summary(self, cell: str) -> str | None:
        """The job's summary that a cell is, as it was served."""
        cell = squeeze(cell)
        for text in self.summaries:
            if cell in (squeeze(text), squeeze(str(guard(text)))):
                return text
        return None

    def has_id(self, cell: str) -> bool:
        """Whether a cell is the job's id, in any submission."""
        return cell.strip() in {str(form).strip() for text in self.external_ids for form in (text, guard(text))}

    def has_text(self, cell: str) -> bool:
        """Whether a cell is the job's conversation, however a spreadsheet broke its lines or cut it."""
        ours, theirs = squeeze(self.text), squeeze(cell)
        return ours == theirs or (len(theirs) >= _CUT_CELL_CHARS and ours.startswith(theirs))


def import_review(database: Engine, reviewed: Path, out: Path) -> ImportReport:
    """Add the corrections of a reviewed file to the training file `out`.

    A reviewer's corrections replace that reviewer's earlier ones of the same conversation, and references that no
    reviewer wrote. All reviews, also of summaries that were left as they were, go to the log next to `out`. The
    reviewer is the row's column `reviewer` if there is one, or else the file's name. Conversations
    are taken from the ledger. Rows of purged conversations and unusable corrections are left out and reported.

    Raises SourceError, naming the lines, before anything is written, if a row is not as it was exported.
    """
    entries = [_read_entry(row, where, reviewed.stem) for where, row in read_reviewed(reviewed)]
    training_file = open_training_file(out)
    stored = _read_stored(database, sorted({entry.job_id for entry in entries}))
    known = [entry for entry in entries if entry.job_id in stored]
    if entries and not known:
        raise SourceError(f"{reviewed}: none of its jobs is in this database; import it where it was exported")
    _check_rows(known, stored)
    corrected = [entry for entry in known if entry.corrected and not stored[entry.job_id].has_summary(entry.corrected)]
    problems = {entry.where: find_problem(unguard(entry.corrected), stored[entry.job_id].text) for entry in corrected}
    usable = [_to_correction(entry, stored[entry.job_id]) for entry in corrected if not problems[entry.where]]
    reviews = [
        _to_review(entry, stored[entry.job_id]) for entry in known if entry.summary and not problems.get(entry.where)
    ]
    if reviews:
        add_to_log(log_path(out), reviews)
    return ImportReport(
        num_corrected=len(usable),
        num_unchanged=len(known) - len(corrected),
        num_gone=len(entries) - len(known),
        num_rows=training_file.add(usable) if usable else len(training_file.rows),
        unusable=tuple(f"{where}: {problem}" for where, problem in problems.items() if problem),
    )


def _read_entry(row: Mapping[str, str], where: str, file_name: str) -> _Entry:
    if not row["job"].isdecimal() or len(row["job"]) > _MAX_DIGITS:
        raise SourceError(f"{where}: {row['job']!r} is not a job number; leave that column as it was exported")
    return _Entry(
        where=where,
        job_id=int(row["job"]),
        external_id=unguard(row["id"]),
        conversation=row["conversation"],
        summary=row["summary"],
        corrected=squeeze(row["corrected"]),
        reviewer=(row.get("reviewer") or "").strip() or file_name,
        reason=squeeze(row.get("reason") or ""),
        drawn=(row.get(DRAWN) or "").strip(),
    )


def _to_correction(entry: _Entry, stored: _Stored) -> Correction:
    return Correction(
        external_id=entry.external_id,
        conversation=stored.text,
        summary=unguard(entry.corrected),
        reviewer=entry.reviewer,
        served=stored.find_summary(entry.summary) or "",
        reason=unguard(entry.reason),
    )


def _to_review(entry: _Entry, stored: _Stored) -> Review:
    served = stored.find_summary(entry.summary) or ""
    adapter, flags = stored.summaries[served]
    is_approved = not entry.corrected or stored.has_summary(entry.corrected)
    return Review(
        job=str(entry.job_id),
        id=entry.external_id,
        reviewer=entry.reviewer,
        summary=squeeze(served),
        decision=APPROVED if is_approved else CORRECTED,
        corrected="" if is_approved else unguard(entry.corrected),
        reason=unguard(entry.reason),
        adapter=adapter,
        channel=stored.channel,
        flags=flags,
        drawn=entry.drawn,
        day=f"{date.today():%Y-%m-%d}",
    )


def _read_stored(database: Engine, job_ids: Sequence[int]) -> dict[int, _Stored]:
    stored: dict[int, _Stored] = {}
    for start in range(0, len(job_ids), _NUM_AT_ONCE):
        query = (
            select(
                *(Job.id, Job.text, SubmissionJob.external_id, Submission.name),
                *(Summary.text.label("summary"), Summary.adapter_digest, Summary.reasons),
            )
            .join(SubmissionJob, SubmissionJob.job_id == Job.id)
            .join(Submission, Submission.id == SubmissionJob.submission_id)
            .join(Summary, Summary.job_id == Job.id)
            .where(Job.id.in_(job_ids[start : start + _NUM_AT_ONCE]))
        )
        with reading(database) as connection:
            for row in connection.execute(query):
                job = stored.setdefault(row.id, _Stored(row.text, name_channel(row.name)))
                job.external_ids.add(row.external_id)
                job.summaries[row.summary] = (row.adapter_digest, join_flags(row.reasons))
    return stored


def _check_rows(entries: Iterable[_Entry], stored: Mapping[int, _Stored]) -> None:
    found = [(entry, differing) for entry in entries if (differing := _find_differing(entry, stored[entry.job_id]))]
    if not found:
        return
    named = "; ".join(
        f"{entry.where}: {' and '.join(differing)} not as exported for job {entry.job_id}"
        for entry, differing in found[:_MAX_NAMED]
    )
    more = f"; and {len(found) - _MAX_NAMED} more rows" if len(found) > _MAX_NAMED else ""
    raise SourceError(
        f"{named}{more}. If one column was sorted by itself, corrections stand next to other conversations: sort whole "
        "rows, and write corrections in the column `corrected`. Nothing is imported."
    )


def _find_differing(entry: _Entry, stored: _Stored) -> list[str]:
    """The columns of a row that are not what was exported for its job."""
    # Trailing cells may be missing; without a correction that is harmless.
    is_cut = not entry.summary and not entry.corrected
    checks = {
        "id": stored.has_id(entry.external_id),
        "conversation": stored.has_text(entry.conversation),
        "summary": is_cut or stored.has_summary(entry.summary),
    }
    return [name for name, is_same in checks.items() if not is_same]
