"""What the service answers, as a program reads it: each class has name and fields of its schema in /openapi.json."""
