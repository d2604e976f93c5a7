"""Batches: our ways through a file of prompts against vLLM's offline `LLM.generate`."""
