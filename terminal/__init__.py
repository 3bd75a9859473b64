"""One validator or canteen terminal. Read `terminal.tap` first."""
