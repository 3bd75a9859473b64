"""One elementary file per module: construct schema, frozen dataclass, exact parse and build."""
