"""The network over a whole CT: probabilities, and the lesions that follow from them."""
