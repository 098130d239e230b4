"""The method inside transformers' Trainer and DistributedDataParallel."""
