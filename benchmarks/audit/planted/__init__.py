"""Faults for the audit of the deployed path to find."""

from pathlib import Path

from ecg_flare.flare.deploy.deployed_audit import AuditApp

PLANTED = AuditApp(custom=Path(__file__).parent, pages="planted.Pages", evaluator="planted.Evaluator")
"""The audited job with the parts of `planted.py`, which break what the environment names."""
