"""The search in the operator's folder, for the retriever and for the tool `search_files`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actors.gateway_embedder import GatewayEmbedder
from zoran_ray.agents.folder_search import FolderSearch
from zoran_ray.errors import ConfigError
from zoran_ray.memory.embedder import HASHED, Embedder, EmbedderId, HashedNgrams, chosen
from zoran_ray.rag import embedder_of, index_folder
from zoran_ray.settings import Settings


def folder_search(settings: Settings, folder: Path) -> FolderSearch:
    """Searches the index that `zoran rag index` made of a folder."""
    made_by = chosen(settings.memory)

    def embedder(known: EmbedderId | None) -> Embedder:
        if known is None:
            return HashedNgrams(settings.memory.dimension)
        # Hashed n-grams need nobody; a gateway is asked for vectors of a model.
        served = known == made_by and settings.memory.embedder != HASHED
        return GatewayEmbedder(known) if served else embedder_of(known, _no_server)

    return FolderSearch(index_folder(settings.state_dir, folder), folder, embedder)


def _no_server(method: str, path: str, body: Mapping[str, Any]) -> Any:
    raise ConfigError(
        "The index was made by another embedding model than the memory's. Make it anew with that one, or"
        " with `--embedder hashed`."
    )
