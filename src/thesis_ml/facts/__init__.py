"""Facts: every number of a run, written once and read by everything else."""
