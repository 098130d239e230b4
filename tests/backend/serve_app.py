"""The application for `uvicorn --factory`, with settings from the environment."""

from fastapi import FastAPI

from rankscope.app import create_app
from rankscope.settings import Settings


def app() -> FastAPI:
    return create_app(Settings(_env_file=None))
