"""Draws the illustrated character once, with skia, into the layers under avatar/assets."""
