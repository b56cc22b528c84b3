"""A plan that sites agree on: nnU-Net's fingerprint of all their cases as summed histograms, and a plan made of it."""
