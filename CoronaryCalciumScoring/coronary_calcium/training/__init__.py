"""Training DenseRAUNet: cases, samples, losses, recipes and the loop."""
