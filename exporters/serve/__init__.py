"""Bundles over HTTP (extra `serve`): rankings, scores, search, metrics and a page, with neither torch nor dgl.

`server` opens the bundles and listens; `app` says what is answered, `guard` who is let in and how much at once.
"""
