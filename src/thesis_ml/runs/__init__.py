"""Which runs exist below a folder, in which state, and what to do with them."""
