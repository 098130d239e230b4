"""One module per kind of background job, named like the kind in `contract.jobs.KINDS`."""
