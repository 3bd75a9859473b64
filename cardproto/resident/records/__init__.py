"""One elementary file per module: its values, exact parse and build; `documented` states their layouts."""
