"""A sweeper for the jobs that are left of a planned sweep; Hydra finds plugins in this package only."""
