"""Any torch module as a task: somebody else's network, loss and data, federated like nnU-Net's.

task.py      what the owner of a module writes (`TorchTask`), and which classes may be built
example.py   one case, and what makes it unfit
plan.py      what all parties hold alike: class, arguments, names and shapes of the parameters
network.py   the module, held to its plan
dataset.py   a site's examples on disk
trainer.py   a round of local training
kind.py      all of it as a kind of task
"""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "counting": ("multilabel_counts",),
    "example": ("Example",),
    "plan": ("ModulePlan", "plan_of_task"),
    "task": ("TorchTask", "register_task"),
}

if TYPE_CHECKING:
    from ecg_flare.task.modules.counting import multilabel_counts
    from ecg_flare.task.modules.example import Example
    from ecg_flare.task.modules.plan import ModulePlan, plan_of_task
    from ecg_flare.task.modules.task import TorchTask, register_task
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = ["Example", "ModulePlan", "TorchTask", "multilabel_counts", "plan_of_task", "register_task"]
