"""Store-and-forward: batches to the collector, signed acknowledgements back."""
