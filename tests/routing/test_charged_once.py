"""Many payments, processors that lie, processes that die: nobody is charged twice."""

import asyncio
import random
from collections.abc import Callable

import pytest
from tests.routing.simulated import (
    LIES,
    House,
    SimulatedProcessor,
    a_payment,
    accepted,
    taken,
)

from voltpay.core.messages import Message, PaymentDeferred, PaymentSettled
from voltpay.core.payment import Payment
from voltpay.foundation.runtime.stages import Taken

ROUNDS_MAX = 60
PROVEN_MS = 40_000


class World:
    """Two routing processes of which either may die, and what the log would hold."""

    def __init__(self, make: Callable[..., House], seed: int) -> None:
        self.chance = random.Random(seed)
        self.processors = (SimulatedProcessor("default"), SimulatedProcessor("fallback"))
        self.make = make
        self.clock = make(*self.processors).clock
        self.started = 0
        self.settled: dict[object, PaymentSettled] = {}
        self.waiting: list[Taken] = []
        self.houses = [self.start(), self.start()]

    def start(self) -> House:
        self.started += 1
        return self.make(*self.processors, owner=f"process-{self.started}", clock=self.clock)

    async def route(self, one: Taken) -> None:
        house = self.chance.choice(self.houses)
        task = asyncio.create_task(house.route(one))
        if self.chance.random() < 0.1:
            await asyncio.sleep(self.chance.random() * 0.02)
            task.cancel()
        try:
            messages = await task
        except asyncio.CancelledError:
            self.waiting.append(one)
            return
        self.publish(messages)
        if self.chance.random() < 0.1:
            self.waiting.append(one)

    def publish(self, messages: list[Message]) -> None:
        for message in messages:
            if isinstance(message, PaymentDeferred):
                self.waiting.append(taken(message))
            else:
                assert isinstance(message, PaymentSettled)
                known = self.settled.setdefault(message.payment.id, message)
                assert known == message

    async def turn(self) -> None:
        batch, self.waiting = self.waiting, []
        await asyncio.gather(*(self.route(one) for one in batch))
        for house in self.houses:
            await house.resolve()
            self.publish(house.log.messages)
            house.log.messages = []
        if self.chance.random() < 0.3:
            self.houses[self.chance.randrange(2)] = self.start()

    async def heal(self) -> None:
        for processor in self.processors:
            processor.behaviours = []
            await asyncio.gather(*processor.late)
        for _ in range(ROUNDS_MAX):
            self.clock.jumped_ms += PROVEN_MS
            await self.houses[0].expire_leases()
            await self.turn()
            states = await self.houses[0].states()
            if not self.waiting and not states.keys() & {"sending", "unknown"}:
                return


@pytest.mark.parametrize("seed", range(3))
async def test_a_payment_is_executed_once_exactly_when_we_say_so(
    house: Callable[..., House], seed: int
) -> None:
    world = World(house, seed)
    payments: list[Payment] = [a_payment() for _ in range(60)]
    for processor in world.processors:
        processor.behaviours = world.chance.choices(LIES, k=80)
    world.waiting = [accepted(payment) for payment in payments]
    for _ in range(4):
        await world.turn()
    await world.heal()

    executed = [
        (payment_id, processor.name)
        for processor in world.processors
        for payment_id in processor.executions
    ]
    completed = {
        (message.payment.id, message.attempt.processor)
        for message in world.settled.values()
        if message.executed
    }
    assert len(executed) == len({payment_id for payment_id, _ in executed})
    assert set(executed) == completed
    assert world.settled.keys() == {payment.id for payment in payments}
    assert any(not message.executed for message in world.settled.values())
    assert any(message.attempt.number > 1 for message in world.settled.values())
