"""Secure aggregation by masks: a server recovers the sum of the sites' integers and nothing of any one of them.

The package is called `secure_sum`: what it computes is the sum under a round of secure aggregation.

Read in this order: `encoding` (updates as integers), `context` and `limits` (what a round is about, and what a site
insists on), `messages` (what is sent), `client` and `server` (the five steps), and below them `signing`, `keys`,
`shares`, `masking`, `checks` and `memory`. docs/secure-sum.md tells how it works, docs/threat-model.md against whom.
"""
