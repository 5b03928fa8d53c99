"""Long queries: asked and read over HTTP here, and computed by workers, which are processes of their own."""
