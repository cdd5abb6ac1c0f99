"""The page that operations watch: rendered here, live by server-sent events, with nothing from anywhere else.

It shows what the read API tells and changes what the operators' API changes; it has no truth of its own.
"""
