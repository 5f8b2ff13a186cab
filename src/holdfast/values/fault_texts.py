"""The sentences about faults: what happened, and what to do next, for each class (the value of a
`core.faults.FaultClass`) and case.

`core.explain` chooses among them and fills them in. A sentence claims nothing that the request did not
show."""

from __future__ import annotations

CAUSES = (
    *("source", "renewal", "empty", "cut", "other_api", "unasked_stream"),
    *("certificate", "address", "listed", "declared", "no_route"),
    *("server_not_running", "refused", "dns", "tls", "not_http", "timeout"),
)
"""The causes of faults that are cases by themselves."""
IN_WORDS = {
    "server_not_running": "connection refused",
    "refused": "connection refused",
    "dns": "unknown host",
    "tls": "no TLS",
    "certificate": "certificate not trusted",
    "not_http": "no HTTP",
    "address": "address refused",
    "timeout": "no answer in time",
}
"""The causes that say more than their class does."""
NO_REPORT = ("truncated", "cut", "empty")
"""The causes of faults in an answer that reports none."""


def called(kind: str, cause: str | None) -> str:
    """Return what a fault is called in a line: its cause where there is a name for it, else its class."""
    return IN_WORDS.get(cause or "", kind)


WHAT: dict[str, dict[str, str]] = {
    "auth_rejected": {
        "takes no key": "{host} asks for a key, but this endpoint is configured to use none.",
        "unread": "No key was sent: cannot read {ref}.",
        "not sent": "{host} says that no key came with the request.",
        "deleted": (
            "The provider says that this key, or its account, was deleted, blocked or reported as leaked."
        ),
        "no database": "{host} runs without its database: it accepts only its master key.",
        "worked here": "{host} rejected a key that it accepted {worked} ago.",
        "belongs elsewhere": (
            "{host} does not accept this key. It has never worked there; keys like this one belong to {hint}."
        ),
        "never worked": "{host} does not accept this key. It has never worked there.",
        "": "{host} does not accept this key.",
    },
    "auth_expired": {
        "takes no key": "{host} asks for a key, but this endpoint is configured to use none.",
        "signed in": "The sign-in behind this connection has ended. Other sessions that use it stop as well.",
        "final": (
            "The sign-in behind this connection has ended for good. Other sessions that use it stop as well."
        ),
        "": "The sign-in behind this connection has expired.",
    },
    "not_entitled": {
        "takes no key": (
            "{host} asks for a key for {model} or for this request, but this endpoint is configured to "
            "use none."
        ),
        "plan ended": "The key is accepted, but the trial or plan behind it has ended.",
        "": "The key is accepted, but not for {model}, or not for what was asked of it.",
    },
    "blocked": {
        "": (
            "A region rule, network rule or firewall blocked the request before the provider's API. "
            "Another key would not help."
        )
    },
    "quota_exhausted": {
        "too dear": "The account behind this key has not enough credit left for a request of this size.",
        "": "The account behind this key has no balance left, or reached its spending cap.",
    },
    "quota_window": {"": "The plan's allowance for this period is used up."},
    "rate_limited": {"": "Too many requests: the rate limit of this key or account is reached."},
    "provider_unavailable": {
        "supplier": "The supplier behind {host} refused {host}. Your key is not to blame.",
        "": "{host} cannot answer now: overloaded or out of service. Your key is not to blame.",
    },
    "transient": {
        "renewal": "The token of {ref} has expired, and its sign-in service could not renew it now.",
        "source": "No key was sent: {ref} gives none now. Your key is not to blame.",
        "failed after output": (
            "{host} reported a failure of its own after part of the answer had reached the client. Such a "
            "request is not sent again."
        ),
        "failed": "{host} took the request and then reported a failure of its own, with HTTP {status}.",
        "after output": (
            "The answer of {host} broke off after part of it had reached the client. Such a request is "
            "not sent again."
        ),
        "refused": "{host} refuses connections.",
        "dns": "The name {host} cannot be resolved now.",
        "timeout": "{host} gave no answer in time.",
        "empty": "{host} sent an empty answer (HTTP {status}).",
        "cut": "{host} sent an answer that breaks off (HTTP {status}).",
        "error status": "{host} failed with HTTP {status}.",
        "": "The connection to {host} broke before any output.",
    },
    "model_unavailable": {
        "listed": "{host} refuses {model}, although the last list of models that it gave names it.",
        "declared": "{host} has no model named {model}, although your configuration names it.",
        "": "{host} has no model named {model}.",
    },
    "endpoint_mismatch": {
        "works elsewhere": (
            "This key works at {hint}, but the call went to {url}{source}. The key was not changed."
        ),
        "certificate": (
            "The certificate at {url}{source} is not trusted here, or not made for that name. The key "
            "was not changed."
        ),
        "address": (
            "{url}{source} leads to an address that no provider has: link-local, unspecified, a metadata "
            "service, or for this machine's name another one. Nothing was sent, the key was not changed."
        ),
        "server_not_running": (
            "Nothing listens at {url}{source}: the connection was refused. The key was not changed."
        ),
        "dns": (
            "The host of {url}{source} cannot be found: its name does not resolve. The key was not changed."
        ),
        "tls": (
            "{url}{source} does not speak TLS (https), or another version of it. The key was not changed."
        ),
        "not_http": "{url}{source} answers, and not in HTTP. The key was not changed.",
        "belongs elsewhere": (
            "Keys like this one belong to {hint}, but the call went to {url}{source}. "
            "The key was not changed."
        ),
        "other_api": "{url}{source} answers as another API does. The key was not changed.",
        "unasked_stream": (
            "{url}{source} sent a stream although none was asked for. The key was not changed."
        ),
        "no answer": (
            "Nothing that speaks the expected API answers at {url}{source}. The key was not changed."
        ),
        "lacks the route": (
            "{url}{source} has answered other requests with this key, but has nothing at this path. The key "
            "was not changed."
        ),
        "": "{url}{source} does not speak the expected API. The key was not changed.",
    },
    "context_overflow": {"": "This prompt is too long: it exceeds the maximum context length of {model}."},
    "content_blocked": {"": "The provider's policy refused this input or output. Your key is unaffected."},
    "bad_request": {
        "made elsewhere": (
            "{host} does not accept what this request refers to: it was made with another key, or is gone."
        ),
        "no_route": (
            "{host} has nothing at this path: not every provider offers this route. That says nothing about "
            "the key or the address."
        ),
        "": "{host} rejects the request itself.",
    },
    "unknown": {"": "{host} sent an answer that Holdfast does not recognise."},
}
"""What happened, by class and case. The first case of a class that holds is taken; the empty one always
holds."""

NEXT: dict[str, tuple[str, str]] = {
    "takes no key": ("Give the provider a key", "holdfast key add {provider} --from env:NAME"),
    "unread": ("Provide the value, or another key", "holdfast key add {provider} --from env:NAME"),
    "deleted": ("Make a new key there and replace the value of {ref} with it, then", "{again}"),
    "too dear": ("Ask for a shorter answer, or add credit. See what was sent", "{why}"),
    "not sent": ("Check how the endpoint sends the key", "{show}"),
    "signed in": ("Sign in again", "holdfast key login {provider}"),
    "renewal": ("Try again in a moment. If it still fails, sign in again", "holdfast key login {provider}"),
    "source": ("Try again in a moment. If it still fails, see what it says", "{check}"),
    "no database": (
        "Let the operator of {host} connect its database, or use its master key, then",
        "{again}",
    ),
    "unread, elsewhere": (
        (
            "Start {reader} again where the variable is set: it keeps the environment it was started with. "
            "Or give the provider another key"
        ),
        "holdfast key add {provider} --from env:NAME",
    ),
    "worked here, elsewhere": (
        (
            "This often passes by itself. If not, start {reader} again with the right value of {ref}: it "
            "keeps the environment it was started with, which may differ from your shell's. Then"
        ),
        "{check}",
    ),
    "never worked, elsewhere": (
        (
            "Start {reader} again with the right value of {ref}: it keeps the environment it was started "
            "with, which may differ from your shell's. Then"
        ),
        "{check}",
    ),
    "worked here, oauth": (
        "This often passes by itself. If not, sign in again",
        "holdfast key login {provider}",
    ),
    "never worked, oauth": ("Sign in again", "holdfast key login {provider}"),
    "auth_expired, oauth": ("Sign in again", "holdfast key login {provider}"),
    "final, oauth": ("Sign in again", "holdfast key login {provider}"),
    "made elsewhere": ("Use the key that made it, or begin the conversation anew. See which keys", "{why}"),
    "plan ended": ("Renew or change the plan of this account, then", "{again}"),
    "worked here": ("This often passes by itself. If not, replace the value of {ref}, then", "{again}"),
    "supplier": ("Tell the operator of {host}; meanwhile choose another connection", "{choose}"),
    "certificate": (
        "Correct the address; if its authority is your own, name its file in SSL_CERT_FILE",
        "{show}",
    ),
    "server_not_running": ("Start the server, or correct the address", "{show}"),
    "dns": ("Correct the address, or see to this machine's network", "{show}"),
    "tls": ("Correct the address: http:// or https://, and the port", "{show}"),
    "refused": ("See that its server runs. If it does", "{check}"),
    "no answer": ("Start the server, or correct the address", "{show}"),
    "no_route": ("Do without it, or choose a connection that has it", "{choose}"),
    "lacks the route": ("Do without it, or choose a connection that has it", "{choose}"),
    "listed": ("Choose another model. What it lists now is shown by", "{models} --refresh"),
    "declared": ("Correct the name in holdfast.toml. What it lists now is shown by", "{models} --refresh"),
    "works elsewhere": (
        "Correct the address, or replace the value of {ref} with a key of {host}. The address is shown by",
        "{show}",
    ),
    "belongs elsewhere": (
        "Correct the address, or replace the value of {ref} with a key of {host}. The address is shown by",
        "{show}",
    ),
    "auth_rejected": ("Check that {ref} holds a live key of this host, then", "{again}"),
    "auth_expired": ("Sign in where {ref} gets its value, then", "{again}"),
    "not_entitled": ("Choose a model that it may use, or change the plan", "{models}"),
    "blocked": ("Check VPN, proxy and IP allow-list, then", "{check}"),
    "quota_exhausted": ("Top up or raise the cap, then", "{again}"),
    "quota_window": ("Wait (the session stays saved), or choose another connection", "{choose}"),
    "rate_limited": ("Send fewer requests at once, or choose another connection", "{choose}"),
    "provider_unavailable": ("Try again later, or choose another connection", "{choose}"),
    "transient": ("Try again. If it still fails", "{check}"),
    "model_unavailable": ("Choose a model that it has", "{models}"),
    "endpoint_mismatch": ("Correct the address", "{show}"),
    "context_overflow": ("Compact the conversation, or choose a model with a larger window", "{models}"),
    "content_blocked": ("Change the content. See what was sent", "{why}"),
    "bad_request": ("Correct what the provider names, or update the client. See what was sent", "{why}"),
    "unknown": (
        "Report its shape, which holds nothing private, so that it gets a class. It is listed by",
        "holdfast report --list",
    ),
}
"""What to do next and the command for it: by case where there is a row for it, else by class."""
