"""The rank-1 components of a model: target modules, tensors, and regularisation terms."""
