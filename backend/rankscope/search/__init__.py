"""Which trials a sweep needs next: pure functions from its design and the trials that exist, without database or clock.

`plan.SweepPlan` is the interface. Optuna is imported only when a TPE search needs it: it takes 0.4 s of CPU and 40 MB.
"""
