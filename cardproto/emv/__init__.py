"""The bank application of a card or phone: selection, records, offline data authentication. Not certified."""
