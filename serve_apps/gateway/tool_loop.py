"""Whether a conversation is in the middle of using tools. Pure."""

from zoran_ray.wire import RequestBody


def in_tool_loop(body: RequestBody) -> bool:
    """Whether the last message brings a tool's result."""
    messages = body.document.get("messages") or body.document.get("input")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict):
        return False
    if last.get("role") == "tool" or last.get("type") == "function_call_output":
        return True
    content = last.get("content")
    return isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in content
    )
