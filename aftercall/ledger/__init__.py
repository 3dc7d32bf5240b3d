"""The job state machine: every statement that changes a job's state is in this package.

    -> queued | insufficient_content            intake.add_jobs
    queued -> running -> done | failed          work.claim, then work.complete or work.fail
    running -> queued | failed                  work.fail and delivery.expire, by the attempts left; work.release
    queued | running -> cancelled               control.cancel; if a result still arrives, it is kept: done
    queued | running -> done                    control.cancel, for a job that had a summary and was to be done again
    failed | cancelled -> queued                control.requeue
    cancelled -> queued                         intake.add_jobs, if another submission wants it
    done -> queued                              control.redo

One module for each of those who write: `intake` for submit, `delivery` for the sweep, `work` for the worker, `control`
for people, `retention` for what is kept no longer, `workers` for who is alive, `webhooks` for who is told, `pause` for
the pause, `places` for which submission counts a job, `reviews` for what people find about summaries, `search` for the
full-text index. `tally`, `account`, `browse`, `pace`, `failures`, `adapters` and `invariants` only read. Each
function is one transaction on the engine it is given; those that say so take several. The package knows no Redis, no
model and no file.
"""
