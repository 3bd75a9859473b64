"""What leaves the journal for others: TIDES fare transactions, and day and shift reports that add up."""
