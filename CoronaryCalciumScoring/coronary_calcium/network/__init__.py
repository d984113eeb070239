"""DenseRAUNet, what goes into it, and its weights on disk."""
