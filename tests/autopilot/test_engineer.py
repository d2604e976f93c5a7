"""An engineer at work on a real repository with real pytest and a model that says what each test wants."""

import asyncio
import dataclasses
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests_of_autopilot import Here
