"""The board of predictions: in the broker, with an expiry, because nobody asks for them again."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rankscope.contract.errors import ServiceDown
from rankscope.contract.predictions import Prediction

KEPT_S = 600
_TIMEOUT_S = 1.0


class PredictionBoard:
    """Written by the API (the question) and by a worker (the answer). Raises ServiceDown when the broker is away."""

    def __init__(self, broker_url: str) -> None:
        self._redis = redis.Redis.from_url(
            broker_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )

    def put(self, prediction: Prediction) -> None:
        """Writes it anew; from now on it is kept for `KEPT_S` seconds."""
        try:
            self._redis.set(_key(prediction.run_id, prediction.id), prediction.model_dump_json(), ex=KEPT_S)
        except (redis.RedisError, OSError) as error:
            raise _down(error) from error

    def get(self, run_id: str, prediction_id: str) -> Prediction | None:
        """None: there never was one, or it has expired."""
        try:
            text = self._redis.get(_key(run_id, prediction_id))
        except (redis.RedisError, OSError) as error:
            raise _down(error) from error
        return None if text is None else Prediction.model_validate_json(text)

    def close(self) -> None:
        self._redis.close()


def _key(run_id: str, prediction_id: str) -> str:
    return f"rankscope:prediction:{run_id}:{prediction_id}"


def _down(error: Exception) -> ServiceDown:
    return ServiceDown(
        f"The broker is out of reach, and predictions go through it ({error}).",
        "Start Redis or Valkey again, or correct RANKSCOPE_BROKER_URL; then ask again.",
    )
