"""The rank-1 components on a model: which modules have them, their tensors, their terms in the loss."""
