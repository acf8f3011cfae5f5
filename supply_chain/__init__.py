"""What is installed for running, and under which licences: for `make`, not shipped."""
