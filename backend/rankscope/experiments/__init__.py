"""The answer of an experiment: pure functions of its design and trials, without a database.

`statistics` needs SciPy, which costs 0.7 s and 75 MB to import: the server computes answers in a separate process
(`rankscope.experiments.process`).
"""
