"""What `aftercall night --json` prints."""

from producer import as_json
from producer.night.nightly import Night, NightFile


def night_to_json(night: Night) -> as_json.Json:
    """The night: each file, the submissions that were waited for, and where everything is."""
    files = [_file(night, each) for each in night.files]
    unsettled = [_entry(path.name, "unsettled") for path in night.inbox.unsettled]
    taken = {each.name for each in night.files}
    earlier = [
        _entry(name, _state_of(night, number), submission=number, results_file=str(night.results[name]))
        for name, number in night.submissions.items()
        if name not in taken
    ]
    return {
        "files": [*files, *earlier, *unsettled],
        "status": as_json.status(night.waited.standings) if night.waited else None,
        "report_file": str(night.report_file) if night.report_file else None,
        "purged_submissions": night.num_purged,
        "time_up": bool(night.waited and night.waited.is_time_up),
        "exit_code": night.exit_code,
    }


def _file(night: Night, each: NightFile) -> as_json.Json:
    archived_to = str(each.archived_to) if each.archived_to else None
    if each.error is not None:
        error = as_json.problem(each.error.exit_code, str(each.error))
        return _entry(each.name, "unreadable", archived_to=archived_to, error=error)
    number = each.report.submission_id if each.report else 0
    state = "nothing_new" if each.is_old else _state_of(night, number)
    results = night.results.get(each.name)
    return _entry(
        each.name,
        state,
        submission=number,
        results_file=str(results) if results else None,
        archived_to=archived_to,
    )


def _state_of(night: Night, number: int) -> str:
    return "open" if number in night.open_submissions else "done"


def _entry(name: str, state: str, **known: object) -> as_json.Json:
    unknown = dict.fromkeys(("submission", "results_file", "archived_to", "error"))
    return {"name": name, "state": state, **unknown, **known}
