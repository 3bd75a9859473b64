"""The developers' page: simulated cards on simulated terminals, in a browser."""
