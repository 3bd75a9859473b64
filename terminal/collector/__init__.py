"""The receiving end: idempotent on (terminal, seq), signs what it durably holds."""
