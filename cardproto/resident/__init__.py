"""The resident application: card map, record codecs, snapshot, personalisation."""
