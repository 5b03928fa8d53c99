"""What is answered: the shapes that /openapi.json documents. Which values they get is for the routes."""
