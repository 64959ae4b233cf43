"""The compiled core: messages, ports, policies, edges, and the engine that decides what runs."""
