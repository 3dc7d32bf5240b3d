"""What a worker does in the background: leases, heartbeats, the sweep, the engine watchdog."""
