"""Secure aggregation: a server recovers the sum of the sites' integers and learns nothing of any single one.

The package is called `secure_sum`: what it computes is the sum under a round of secure aggregation.

Read in this order: `encoding` (updates as integers), `context` and `limits` (the terms of a round, and what a site
insists on), `messages` (what is sent), `client` and `server` (the five steps), and below them `signing`, `keys`,
`shares`, `masking`, `checks` and `memory`. docs/secure-aggregation.md describes the protocol, docs/threat-model.md the
adversaries.
"""
