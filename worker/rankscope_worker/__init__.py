"""The worker: claims runs, supervises one child process per attempt, and trains in that child."""
