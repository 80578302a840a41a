"""The public APIs of the venue. Each dialect is a table of endpoints; none holds a rule of the exchange."""
