"""PlayBatman: a prediction-market engine with webhooks, a socket and a 24-hour replay of numbered events."""
