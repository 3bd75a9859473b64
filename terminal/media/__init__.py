"""What a person may present, one room each. `resident`: the region's resident card."""
