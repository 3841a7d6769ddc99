from exporters.scorer import Scorer as Scorer
from flykd_console.api import Run as Run
from flykd_console.api import TrainingError as TrainingError
from flykd_console.api import load as load
from flykd_console.api import train as train
from flykd_console.errors import UserError as UserError

__version__: str
__all__ = ["Run", "Scorer", "TrainingError", "UserError", "__version__", "load", "train"]
