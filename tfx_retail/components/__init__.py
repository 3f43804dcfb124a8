"""TFX components of our own: thin over the layers below."""
