"""What reading many pages costs, and that it can be ended and taken up again."""
