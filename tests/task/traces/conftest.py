"""The fixtures that the tests of nnunet/ and of task/traces/ share."""

from scribbled_fixtures import prepared, scribbles, start, tiny, trained, trainer

__all__ = ["prepared", "scribbles", "start", "tiny", "trained", "trainer"]
