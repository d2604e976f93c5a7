"""LiteLLM as a client library against a server. Arguments: base URL."""

import json
import sys

import litellm

common = {
    "model": "openai/local/pocket",
    "api_base": sys.argv[1],
    "api_key": "none",
    "max_tokens": 20,
    "num_retries": 0,
    "timeout": 120,
    "messages": [{"role": "user", "content": "What is 17+25?"}],
}
answer = litellm.completion(**common)
streamed = litellm.completion(**common, stream=True, stream_options={"include_usage": True})
chunks = list(streamed)
try:
    litellm.completion(**common | {"model": "openai/gpt-9"})
    error = ""
except litellm.NotFoundError as caught:
    error = str(caught.status_code)

print(
    json.dumps(
        {
            "text": answer.choices[0].message.content,
            "usage": answer.usage.total_tokens > 0,
            "finish": answer.choices[0].finish_reason,
            "stream": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
            "error": error,
        }
    )
)
