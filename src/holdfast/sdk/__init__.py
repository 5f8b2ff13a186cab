"""The public library: transports that drop into the OpenAI and Anthropic SDKs."""
