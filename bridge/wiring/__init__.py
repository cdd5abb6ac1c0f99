"""From what is configured to the options of the parts that hear a venue: one file per venue, at the edge."""
