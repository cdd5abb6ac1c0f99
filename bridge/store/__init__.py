"""All SQL. Functions take a connection and never commit."""
