"""The data decisions read: region documents, deny lists."""
