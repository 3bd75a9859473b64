"""The console's pages for driver and conductor."""
