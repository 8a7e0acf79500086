"""scikit-learn's multi-layer perceptrons, trained by bpcore: the same models, sooner.

Change the import and nothing else: `from bpcore.estimators import MLPClassifier, MLPRegressor`.
What is equal, what is new and what it gains stands in docs/estimators.md.
"""

try:
    import scipy as _scipy
    import sklearn as _sklearn
except ImportError as error:
    raise ImportError(
        f"bpcore.estimators needs {error.name}, which is not installed: "
        'pip install "bpcore[sklearn]"'
    ) from error

del _scipy, _sklearn

from bpcore.estimators._classifier import MLPClassifier  # noqa: E402
from bpcore.estimators._regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
