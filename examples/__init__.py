"""The demonstration, and the generated patients it uses."""
