"""scikit-learn's multi-layer perceptrons, trained by bpcore: the same models, sooner.

Change the import and nothing else: `from bpcore.estimators import MLPClassifier, MLPRegressor`.
What is equal, what is new and what it gains stands in docs/estimators.md.
"""

try:
    from bpcore.estimators._classifier import MLPClassifier
    from bpcore.estimators._regressor import MLPRegressor
except ImportError as error:
    if (error.name or "").partition(".")[0] not in ("sklearn", "scipy"):
        raise
    raise ImportError(
        f"bpcore.estimators needs scikit-learn 1.6 or newer and SciPy ({error}): "
        'pip install "bpcore[sklearn]"',
        name=error.name,
    ) from error

__all__ = ["MLPClassifier", "MLPRegressor"]
