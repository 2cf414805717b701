"""An example of a storage plugin: the smallest that Toro certifies."""
