"""SQL of blobs: what arrives, who may read and use it, and what is to be removed."""
