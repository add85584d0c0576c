"""A launcher of Hydra that runs the jobs of a sweep on HTCondor."""
