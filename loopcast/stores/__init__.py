"""The outside world behind small interfaces; the only place that imports mlflow, evidently or psycopg."""
