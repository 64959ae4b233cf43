"""Messages, their headers and trace ids, and the ports that they pass through."""
