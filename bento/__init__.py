"""The BentoML service: how the app is started, tuned, bound and stopped. What it answers stands in `app`."""
