"""A hospital's own part before a job: its pages looked over, prepared, and named in its startup kit."""
