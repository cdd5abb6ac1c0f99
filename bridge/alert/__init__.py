"""What a person is told of unasked: rules over what the store knows, decided once, told on every channel."""
