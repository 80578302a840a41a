"""The HTTP server around the dialects: the door that every request passes, limits, health and metrics."""
