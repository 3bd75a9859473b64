"""What a canteen's till decides: meals by entitlement, buffet sales, and taking back."""
