"""The rules of an exchange: pure Python, standard library only, integers only."""
