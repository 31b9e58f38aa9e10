"""A recorded run used again: replayed and judged, its weights, images for them."""
