"""What a first run makes: keys, the school's document and its signed bundles, staff, and terminal.toml."""
