"""What may be asked for, and its identity: the schema, the recipe, the combination, the words."""
