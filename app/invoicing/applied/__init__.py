"""What was applied to an invoice between its lines and the amount due, kept with it."""
