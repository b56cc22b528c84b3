"""What is learnt: a package for each kind of task. `nnunet.task` says what a task is."""
