"""What FLARE and the child process cost: time beside the bare trainer, server memory by sites."""
