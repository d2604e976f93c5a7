"""Answers about the files of a folder, with the lines they stand on.

`Folder` reads what is text and no secret, `Index` cuts it into passages and finds the best, `answered` asks
a model and checks every line it names. Knows no HTTP and no command line.
"""

from zoran_ray.rag.answer import Answered, answered
from zoran_ray.rag.embedding import ModelEmbedder, embedder_of, named
from zoran_ray.rag.files import FileBounds, Folder, TextFile
from zoran_ray.rag.index import Index, Updated, exists, index_folder
from zoran_ray.rag.passages import Passage
from zoran_ray.rag.tool import Search, SearchFiles

__all__ = [
    "Answered",
    "FileBounds",
    "Folder",
    "Index",
    "ModelEmbedder",
    "Passage",
    "Search",
    "SearchFiles",
    "TextFile",
    "Updated",
    "answered",
    "embedder_of",
    "exists",
    "index_folder",
    "named",
]
