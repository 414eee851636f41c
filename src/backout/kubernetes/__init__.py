"""A Kubernetes cluster, as whoever asks it needs it: the connection, the API server, who else changes an object."""
