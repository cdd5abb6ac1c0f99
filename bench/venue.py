"""What a measurement asks of the simulated venue and of the consumer, over their control planes."""

from typing import Any

import httpx
import msgspec

from bench.stage import Part, PartFailed


class Asked:
    """A part with a control plane."""

    def __init__(self, part: Part) -> None:
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{part.port}/control", timeout=60, trust_env=False)

    async def tell(self, order: str, **body: object) -> dict[str, Any]:
        answer = await self._http.post(order, content=msgspec.json.encode(body))
        return msgspec.json.decode(_good(answer), type=dict[str, Any])

    async def ask(self, question: str, **query: str | int) -> Any:
        return msgspec.json.decode(_good(await self._http.get(question, params=query)))

    async def truth(self) -> list[dict[str, Any]]:
        """Every row that the venue assigned."""
        rows: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = await self.ask("truth", after=after)
            rows += page["rows"]
            after = page["next"]
        return rows

    async def last(self) -> int:
        """The last position of ``pb.events`` that the consumer holds."""
        streams = (await self.ask("state"))["streams"]
        return int(streams["pb.events"]["last"]) if "pb.events" in streams else 0

    async def close(self) -> None:
        await self._http.aclose()


def _good(answer: httpx.Response) -> bytes:
    if answer.status_code != 200:
        raise PartFailed(f"{answer.request.url}: {answer.status_code} {answer.text}")
    return answer.content
