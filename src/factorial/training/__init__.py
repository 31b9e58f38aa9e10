"""All that can change a result, and nothing else: the recipe hashes this folder whole."""
