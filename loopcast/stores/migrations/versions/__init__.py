"""One module for each step, named by its number; a step that was released is never changed, a new one follows it."""
