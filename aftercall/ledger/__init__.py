"""The job state machine: every statement that changes a job's state stands in this package and nowhere else.

    queued -> running -> done | failed          work.claim, then work.complete or work.fail
    running -> queued                           work.fail (attempts left), work.release, or delivery.expire
    queued | running -> cancelled               control.cancel; a result that still arrives is kept: done
    failed | cancelled -> queued                control.requeue

One module for each of those who call: `intake` for submit, `delivery` for the sweep, `work` for the worker, `control`
for people, `retention` for what is kept no longer, and `account`, which only reads. Each function is one transaction on
the engine it is given. The package knows no Redis, no model and no file.
"""
