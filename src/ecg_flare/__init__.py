"""Federated, private training of an nnU-Net that reads paper ECGs, as a plugin for NVIDIA FLARE."""

__version__ = "0.1.0"
