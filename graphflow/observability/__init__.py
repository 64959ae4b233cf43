"""What an operator sees of a running graph. Each part imports the library it is for only when it is used."""
