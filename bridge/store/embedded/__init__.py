"""A Postgres of the bridge's own, for a laptop, a demo, the tests and small deploys.

It is a direct child of this process, listens on a private unix socket only, and does not outlive us.
"""

from bridge.store.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
