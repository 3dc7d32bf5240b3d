"""`aftercall night`: the whole nightly job as one command for cron or systemd."""
