"""Traces, where they are wanted: what was heard, settled and delivered. Only ``export`` knows OpenTelemetry."""
