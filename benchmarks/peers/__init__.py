"""bpcore beside other libraries: the same networks, data and steps, a process a library.

`cases` says what is trained and predicted, `pool` starts the processes, `worker` is what runs in
one, `outcome` tells whether all did the same, `report` and `pictures` show the results. Every
library is one file `with_<library>.py`; one of your own is named by its dotted name. It has

`version()`
    The version to print; raises ImportError or OSError where the library is not installed.
`Training(case, threads)`, optional
    `load(X, Y)` takes the data over into the library's own form, `reset()` goes back to the case's
    initial parameters and a new optimiser, `train(data)` is one epoch in the order of the rows,
    `parameters()` gives [(W, b), …] as bpcore has them.
`Prediction(case, threads)`, optional
    `call(X)` takes a NumPy array and returns one.

The constructors raise `NotImplementedError` for what the library cannot do.
"""
