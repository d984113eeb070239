"""How good weights are: patients of known calcium, the network's answer beside the truth, and the figures of both."""
