"""One file per command; with `terminal.app` the only place that may import sim."""
