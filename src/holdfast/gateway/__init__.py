"""The gateway: any client in any language points its base URL here. `plane` carries the requests, `supervise`
the processes, `sides` everything that is no request to a provider. Nothing in it decides about recovery: it
drives the same core as the library."""
