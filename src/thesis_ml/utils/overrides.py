"""Values in the grammar of Hydra's overrides."""

import re


def quote_value(text: str) -> str:
    """Return a text as a quoted value of an override, so that blanks, commas and brackets are taken literally."""
    escaped = text.replace("${", "\\${")
    # In Hydra's quoted values a backslash is an escape only in front of a quote.
    return "'" + re.sub(r"(\\*)('|$)", lambda match: 2 * match[1] + ("\\'" if match[2] else ""), escaped) + "'"
