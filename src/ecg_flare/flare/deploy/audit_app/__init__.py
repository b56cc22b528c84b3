"""Code that the job of the deployed audit carries in its `custom` folder, and nothing else does."""
