"""What the outputs of detection networks mean: one decoding a file, each from the layout that its authors publish."""
