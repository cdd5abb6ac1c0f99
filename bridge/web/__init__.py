"""What the bridge serves over HTTP: the webhook receiver, the read API, health and metrics."""
