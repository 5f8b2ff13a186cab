"""The processes of a gateway: supervisor, workers, listening sockets."""
