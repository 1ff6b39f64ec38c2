"""One pass over all tracks of a pool, in numpy or, where there is a GPU, in torch.

`on_torch` alone imports torch, and nothing in `acquisition` imports it: it is for whoever asks for a GPU.
"""
