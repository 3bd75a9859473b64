"""The shape of a region document: what a tariff author may write, part by part. Everything else in policy reads it."""
