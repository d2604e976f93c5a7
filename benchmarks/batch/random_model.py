"""Makes a Llama with random weights: as slow as a trained one of its size, and nothing else of it.

The tokenizer is that of the embedded model, so that its words are bytes. It says letters: bytes that are no
text on their own would come out as nothing, and nobody could tell when the first of them came.
"""

import shutil
from pathlib import Path

from zoran_ray.pocket import MODEL_DIR

LAYERS, WIDTH, INNER, HEAD = 12, 640, 1728, 64
_LOUD = 0.2
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def make_random_model(folder: Path, seed: int = 0) -> int:
    """Writes it in Hugging Face's layout. Returns: Its parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    pocket = LlamaConfig.from_pretrained(MODEL_DIR)
    config = LlamaConfig(
        vocab_size=pocket.vocab_size,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // HEAD,
        num_key_value_heads=WIDTH // HEAD,
        head_dim=HEAD,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=pocket.eos_token_id,
        pad_token_id=pocket.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        # Beside such weights a row of zeros is never the likeliest word, and seldom drawn.
        model.lm_head.weight.zero_()
        model.lm_head.weight[ord("a") : ord("z") + 1].normal_(std=_LOUD)
    model.save_pretrained(folder)
    for name in _TOKENIZER:
        shutil.copy(MODEL_DIR / name, folder / name)
    return sum(weight.numel() for weight in model.parameters())
