"""The commands."""

import logging

# It would say with how many threads it starts, on the terminal, as soon as pandas is imported.
logging.getLogger("numexpr").setLevel(logging.WARNING)
