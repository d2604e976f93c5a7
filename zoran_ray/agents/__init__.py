"""Role agents: reasoner, coder, retriever, vision. Each answers a conversation with a model it is given.

A role is a `zoran_ray.reasoning.strategy.Strategy` that brings more along: tools, files, pictures. `desk`
runs many conversations of a role in one process, `messages` is what is said between that process and
whoever asks the model for it, `supervisor` keeps the process alive. Knows no HTTP and no Ray.
"""
