"""Every sentence that people read in a browser, in their language."""
