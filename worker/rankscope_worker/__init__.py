"""The Celery side: claims runs, supervises one child process an attempt, and trains in that child."""
