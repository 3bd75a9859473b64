"""The console's pages for the canteen's staff."""
