"""The `sim` command: one file per command, assembled in `app`."""
