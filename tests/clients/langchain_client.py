"""LangChain's OpenAI chat model against a server. Arguments: base URL."""

import json
import sys

import openai
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

chat = ChatOpenAI(
    base_url=sys.argv[1], api_key="none", model="local/pocket", max_tokens=20, max_retries=0, timeout=120
)
question = [HumanMessage("What is 17+25?")]
answer = chat.invoke(question)
streamed = list(chat.stream(question))
batch = chat.batch([question, question])
try:
    ChatOpenAI(base_url=sys.argv[1], api_key="none", model="gpt-9", max_retries=0).invoke(question)
    error = ""
except openai.NotFoundError as caught:
    error = str(caught.code)

print(
    json.dumps(
        {
            "text": answer.content,
            "usage": answer.usage_metadata["total_tokens"] > 0,
            "finish": answer.response_metadata["finish_reason"],
            "stream": "".join(str(chunk.content) for chunk in streamed),
            "batch": [each.content for each in batch],
            "error": error,
        }
    )
)
