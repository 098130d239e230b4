"""Which trials a sweep needs next: pure functions of its design and existing trials, without a database or a clock.

`plan.SweepPlan` is the interface. Optuna is imported only when a TPE search needs it: it takes 0.4 s of CPU and 40 MB.
"""
