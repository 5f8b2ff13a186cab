"""HTTP/1.1 for clients and providers; knows nothing of language models."""
