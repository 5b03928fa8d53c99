"""What a long query computes: pure functions over a champion, its history and an uploaded file.

How queries wait, run and are kept is for `stores.queries` and the app; nothing here knows of HTTP, a queue or a store.
"""
