"""From files of experiments to events: readers of other formats, selections, and the sheet of decisions."""
