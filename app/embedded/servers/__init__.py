"""How each server is prepared, started and found ready: one module each."""
