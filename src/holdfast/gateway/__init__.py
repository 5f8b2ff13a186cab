"""The gateway: a server to which a client in any language can point its base URL.

`http1` speaks HTTP/1.1, `relay` carries requests to providers, `admin` answers everything else, `process`
runs the workers. Nothing here decides about recovery: it drives the same core as the library.
"""
