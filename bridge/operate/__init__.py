"""What operators do: the same acts for the API and for the command, each in one transaction and on record."""
