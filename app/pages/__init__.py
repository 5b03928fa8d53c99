"""The desk: pages for people, rendered here, whose every change goes through the JSON API."""
