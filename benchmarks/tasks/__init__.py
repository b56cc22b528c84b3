"""A task that is not ECG: the hippocampus in MRI, federated over four sites."""
