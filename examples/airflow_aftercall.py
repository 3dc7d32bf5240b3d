"""An Airflow operator for a night's work. Put this file and night_job.py into the DAGs folder.

AftercallOperator(task_id="summaries", source="/data/in/{{ ds }}.csv", out="/data/out/{{ ds }}.summaries.csv")
"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator
from night_job import FAILED, AftercallError, NightJob


class AftercallOperator(BaseOperator):
    """Summarizes a source. Its XCom has the submission's number, the file and the counts.

    A retry by Airflow goes on with the same submission. If conversations failed, the summaries of the others are
    written first; then the task fails, unless `may_fail` is set.
    """

    template_fields = ("source", "out")

    def __init__(
        self,
        *,
        source: str,
        out: str,
        timeout: str = "6h",
        may_fail: bool = False,
        settings: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.out = out
        self.timeout = timeout
        self.may_fail = may_fail
        self.settings = dict(settings or {})
        self._job: NightJob | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the job of this task."""
        self._job = NightJob(self.source, self.out, self.timeout, settings=self.settings)
        result = self._job.run()
        num_failed = result["counts"]["failed"]
        if num_failed and not self.may_fail:
            raise AftercallError(FAILED, f"{num_failed} conversations failed; the others are in {self.out}")
        return result

    def on_kill(self) -> None:
        """Called by Airflow when the task is stopped."""
        if self._job is not None:
            self._job.stop()
